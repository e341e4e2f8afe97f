"""Reads event files with tensorboard and prints what it finds as JSON.

read.py all FOLDER         what EventAccumulator has of a run
read.py cut FILE           how many events the loader reads of the file cut at each byte, 0 to all
read.py grow FILE          how many a loader has read after each byte, while the file grows by one at a time
read.py hparams FOLDER     the sessions that the HPARAMS table shows for a folder of runs
"""
import json, logging, os, sys, tempfile

logging.disable(logging.CRITICAL)
from tensorboard.backend.event_processing import event_accumulator, event_file_loader
from tensorboard.plugins.hparams import metadata
from tensorboard.util import tensor_util


def everything(folder):
    a = event_accumulator.EventAccumulator(folder, size_guidance={k: 0 for k in event_accumulator.DEFAULT_SIZE_GUIDANCE})
    a.Reload()
    tags = a.Tags()
    out = dict(
        scalars={t: [[e.step, e.value] for e in a.Scalars(t)] for t in tags["scalars"]},
        images={t: [dict(step=e.step, width=e.width, height=e.height, png=e.encoded_image_string.hex()) for e in a.Images(t)]
                for t in tags["images"]},
        histograms={t: [dict(step=e.step, min=e.histogram_value.min, max=e.histogram_value.max, num=e.histogram_value.num,
                             sum=e.histogram_value.sum, counts=[c for c in e.histogram_value.bucket if c])
                        for e in a.Histograms(t)] for t in tags["histograms"]},
        texts={}, graph=[], hparams={})
    for t in tags["tensors"]:
        if a.SummaryMetadata(t).plugin_data.plugin_name == "text":
            out["texts"][t] = [[e.step, tensor_util.make_ndarray(e.tensor_proto)[0].decode()] for e in a.Tensors(t)]
    if tags["graph"]:
        out["graph"] = [[n.name, n.op, list(n.input), {k: v.s.decode() for k, v in n.attr.items()}] for n in a.Graph().node]
    content = a.PluginTagToContent("hparams") if "hparams" in a._plugin_to_tag_to_content else {}
    if content:
        start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
        end = metadata.parse_session_end_info_plugin_data(content[metadata.SESSION_END_INFO_TAG])
        experiment = metadata.parse_experiment_plugin_data(content[metadata.EXPERIMENT_TAG])
        out["hparams"] = dict(
            values={k: getattr(v, v.WhichOneof("kind")) for k, v in start.hparams.items()},
            status=end.status, metrics=[m.name.tag for m in experiment.metric_infos])
    return out


def load(loader):
    return sum(1 for _ in loader.Load())


def cut(file):
    data, counts = open(file, "rb").read(), []
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "events.out.tfevents.1")
        for n in range(len(data) + 1):
            with open(path, "wb") as f:
                f.write(data[:n])
            counts.append(load(event_file_loader.LegacyEventFileLoader(path)))
    return counts


def grow(file):
    data, counts, have = open(file, "rb").read(), [], 0
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "events.out.tfevents.1")
        with open(path, "wb", buffering=0) as f:
            loader = event_file_loader.LegacyEventFileLoader(path)
            for n in range(len(data) + 1):
                f.write(data[max(n - 1, 0):n])
                have += load(loader)
                counts.append(have)
    return counts


def sessions(folder):
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups
    m = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(folder)
    m.Reload()
    provider = data_provider.MultiplexerDataProvider(m, folder)
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    request, ctx = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=100, include_metrics=True,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_UNKNOWN]), RequestContext()
    h = list_session_groups.Handler(
        request_context=ctx, backend_context=backend, experiment_id="e", request=request)
    return [dict(
        hparams={k: getattr(v, v.WhichOneof("kind")) for k, v in g.hparams.items()},
        metrics={v.name.tag: [v.training_step, v.value] for v in g.metric_values},
        sessions=[s.name for s in g.sessions]) for g in h.run().session_groups]


json.dump(dict(all=everything, cut=cut, grow=grow, hparams=sessions)[sys.argv[1]](sys.argv[2]), sys.stdout)
