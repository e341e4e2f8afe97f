"""Writes reference.tfevents and histograms.json with the Python packages.

Needs torch 2.15, tensorboard 2.21.0 (torch's writer uses it) and numpy.
"""
import json, os
import numpy as np
from google.protobuf import struct_pb2
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary

here = os.path.dirname(os.path.abspath(__file__))
# SummaryWriter makes the default bins so, together with a file.
v, right = 1e-12, []
while v < 1e20:
    right.append(v)
    v *= 1.1
bins = [-v for v in right[::-1]] + [0] + right


def hparams(tag, **content):
    data = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **content)
    m = metadata.create_summary_metadata(data)
    m.plugin_data.content = data.SerializeToString(deterministic=True)  # maps in the order of their keys
    return summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, metadata=m, tensor=metadata.NULL_TENSOR)])


F, S, B = 3, 1, 2  # api_pb2.DataType
experiment = api_pb2.Experiment(
    hparam_infos=[api_pb2.HParamInfo(name=n, type=t) for n, t in
                  [("augment", B), ("cfg", S), ("lr", F), ("optimizer.name", S), ("optimizer.nesterov", B)]],
    metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag="accuracy"))])
start = plugin_data_pb2.SessionStartInfo(start_time_secs=1700000000.25)
start.hparams["augment"].bool_value = True
start.hparams["cfg"].string_value = '[64,"M"]'
start.hparams["lr"].number_value = 0.05
start.hparams["optimizer.name"].string_value = "SGD"
start.hparams["optimizer.nesterov"].bool_value = False
end = plugin_data_pb2.SessionEndInfo(status=1, end_time_secs=1700000000.25)

def merged(s):
    """Writes runs of empty bins as one, as TensorFlow's histogram.cc does and torch does not."""
    h = s.value[0].histo
    bins = list(zip(h.bucket_limit, h.bucket))
    bins = [b for b, after in zip(bins, bins[1:] + [None]) if b[1] or (after and after[1])]
    h.bucket_limit[:], h.bucket[:] = zip(*bins)
    return s


exact = np.array([-3, -0.5, 0, 0, 0.125, 0.5, 0.5, 2.25])
contents = [
    (0, dict(file_version="brain.Event:2")),
    (9, dict(session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))),
    (0, dict(summary=summary.scalar("loss/train", 2.5))),
    (300, dict(summary=summary.scalar("loss/train", float("nan")))),
    (1, dict(summary=merged(summary.histogram("weight", exact, bins)))),
    (2, dict(summary=summary.text("note", "*größer* than < before"))),
    (0, dict(summary=hparams(metadata.EXPERIMENT_TAG, experiment=experiment))),
    (0, dict(summary=hparams(metadata.SESSION_START_INFO_TAG, session_start_info=start))),
    (0, dict(summary=hparams(metadata.SESSION_END_INFO_TAG, session_end_info=end))),
    (5, dict(summary=summary.scalar("accuracy", 0.75))),
]


with open(os.path.join(here, "reference.tfevents"), "wb") as f:
    w = RecordWriter(f)
    for step, content in contents:
        e = event_pb2.Event(wall_time=1700000000.25, step=step, **content)
        w.write(e.SerializeToString(deterministic=True))

r = np.random.RandomState(1)
cases = {
    "on the limits": [s * bins[i] for i in range(len(right) + 1, len(bins), 97) for s in (1, -1)] + [bins[0], bins[-1]],
    "around the limits": [s * np.nextafter(bins[i], d) for i in range(len(right) + 1, len(bins) - 1, 97)
                          for s in (1, -1) for d in (0, np.inf)],
    "around zero": [0.0, -0.0, 1e-13, -1e-13, 5e-324, -5e-324, 1e-300],
    "normal": r.randn(300).tolist(),
    "of all sizes": (10 ** r.uniform(-14, 19, 100) * r.choice([-1, 1], 100)).tolist(),
    "one": [0.1],
    "one negative": [-7.0],
    "zeros": [0.0] * 5,
}
out = {}
for name, values in cases.items():
    h = summary.make_histogram(np.array(values, np.float64), bins)
    counts, limits = list(h.bucket), list(h.bucket_limit)
    out[name] = dict(
        values=values, min=h.min, max=h.max, num=h.num, sum=h.sum, sum_squares=h.sum_squares,
        # left limit, right limit and count of what is not empty
        bins=[[limits[i - 1], limits[i], c] for i, c in enumerate(counts) if c])
with open(os.path.join(here, "histograms.json"), "w") as f:
    json.dump(out, f)
