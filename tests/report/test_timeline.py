"""A trial's inits in the Trace Event Format."""

from crashinit.model.observation import Uevent
from crashinit.report.timeline import timeline

from ..contract import builder
from .test_story import operation


def test_operations_last_until_the_next_of_their_process() -> None:
    """Each init is a group of rows, each process a row; the fault and the events are marks in time."""
    operations = [operation(1, "exec driver", argv="driver"), operation(3, "dm.create pool")]
    event = Uevent(seconds=0.2, source="kernel", action="add", sysname="dm-0", dm_name="")
    evidence = builder.evidence().model_copy(
        update={
            "fault_run": builder.run(operations=operations, uevents=[event], seconds=0.5),
            "fired": operations[1],
        }
    )
    events = timeline(evidence)["traceEvents"]

    assert [(e["name"], e["ts"], e["dur"]) for e in events if e["ph"] == "X" and e["pid"] == 1] == [
        ("exec driver#1", 100_000, 200_000),
        ("dm.create pool#1", 300_000, 200_000),
    ]
    assert [(e["name"], e["ts"]) for e in events if e["ph"] == "i"] == [
        ("the fault strikes", 300_000),
        ("kernel add dm-0", 200_000),
    ]
    assert [e["args"]["name"] for e in events if e["name"] == "process_name"] == [
        "init",
        "init 1 after the fault",
        "one more init",
    ]
