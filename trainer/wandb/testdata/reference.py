"""Writes reference.txt: records of a run as wandb 0.31.0's own messages encode them."""
import os
from wandb.proto import wandb_internal_pb2 as p

here = os.path.dirname(os.path.abspath(__file__))
num, lines = 0, []


def put(**content):
    global num
    num += 1
    lines.append(p.Record(num=num, **content).SerializeToString().hex())


def items(kind, values):
    return [kind(key=k, value_json=v) for k, v in values]


def log(step, values):
    values = values + [("_runtime", "1.5"), ("_step", str(step)), ("_timestamp", "1.70000000175e+09")]
    put(history=p.HistoryRecord(item=items(p.HistoryItem, values), step=p.HistoryStep(num=step)))
    put(summary=p.SummaryRecord(update=items(p.SummaryItem, values)))


put(header=p.HeaderRecord(version_info=p.VersionInfo(producer="0.31.0", min_consumer="0.22.0")))
run = p.RunRecord(run_id="abc", entity="team", project="p", run_group="g", display_name="n", notes="hi", tags=["t", "u"],
                  config=p.ConfigRecord(update=items(p.ConfigItem, [("lr", "0.1"), ("model", '"vgg"'), ("nest", '{"a":1}')])))
run.start_time.seconds, run.start_time.nanos = 1700000000, 250000000
put(run=run)
log(0, [("acc", "1e-07"), ("loss", "0.5")])
log(300, [("loss", "0.25")])
put(summary=p.SummaryRecord(update=items(p.SummaryItem, [("best", "0.25")])))
put(exit=p.RunExitRecord(exit_code=3, runtime=1))
with open(os.path.join(here, "reference.txt"), "w") as f:
    f.write("\n".join(lines) + "\n")
