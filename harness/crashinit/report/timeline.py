"""The inits of one trial as a timeline in the Trace Event Format, which Perfetto and Chrome's tracing page open."""

from collections.abc import Iterator
from typing import Any

from crashinit.model.observation import Evidence, OperationRecord, Run

Event = dict[str, Any]
MICROSECONDS = 1_000_000
UDEV = 1  # the row of events of the kernel and of udevd; processes have their numbers


def timeline(evidence: Evidence) -> dict[str, Any]:
    """One group of rows an init, one row a process; an operation lasts until the next one of its process."""
    inits = [*((f"earlier init {n}", run) for n, run in enumerate(evidence.earlier, 1)), ("init", evidence.fault_run)]
    inits += [(f"init {n} after the fault", run) for n, run in enumerate(evidence.reinits, 1)]
    if evidence.again is not None:
        inits.append(("one more init", evidence.again))
    events: list[Event] = []
    for number, (name, run) in enumerate(inits, 1):
        fired = evidence.fired if run is evidence.fault_run else None
        events += [
            {"ph": "M", "name": "process_name", "pid": number, "args": {"name": name}},
            *_run(number, run, fired),
        ]
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _run(number: int, run: Run, fired: OperationRecord | None) -> Iterator[Event]:
    names = {operation.pid: operation.program for operation in run.operations}
    for pid, name in names.items():
        yield {"ph": "M", "name": "thread_name", "pid": number, "tid": pid, "args": {"name": name}}
    if run.uevents:
        yield {"ph": "M", "name": "thread_name", "pid": number, "tid": UDEV, "args": {"name": "uevents"}}
    for index, operation in enumerate(run.operations):
        later = (other.seconds for other in run.operations[index + 1 :] if other.pid == operation.pid)
        end = next(later, max(run.seconds, operation.seconds))
        yield {
            "ph": "X",
            "name": operation.key,
            "cat": operation.kind.partition(".")[0],
            "pid": number,
            "tid": operation.pid,
            "ts": round(operation.seconds * MICROSECONDS),
            "dur": round((end - operation.seconds) * MICROSECONDS),
            "args": {"number": operation.n, **operation.detail},
        }
        if fired is not None and operation.n == fired.n:
            yield _instant(number, operation.pid, "the fault strikes", operation.seconds, "p")
    for event in run.uevents:
        yield _instant(number, UDEV, f"{event.source} {event.action} {event.sysname}", event.seconds, "t")


def _instant(number: int, row: int, name: str, seconds: float, scope: str) -> Event:
    return {"ph": "i", "name": name, "pid": number, "tid": row, "ts": round(seconds * MICROSECONDS), "s": scope}
