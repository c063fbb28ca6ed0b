"""Traces in short, for the tests of steps."""

from crashinit.model.observation import OperationRecord


def trace(*lines: str) -> list[OperationRecord]:
    """Operations from lines `kind object [program] [target]`; a blank in an object is written as `|`."""
    found = []
    for n, line in enumerate(lines, 1):
        kind, thing, program, target = [*line.split(), *("python3", "")[len(line.split()) - 2 :]]
        found.append(
            OperationRecord(
                n=n,
                key=f"{kind} {thing}#{n}",
                kind=kind,
                object=thing.replace("|", " "),
                detail={"target": target} if target else {},
                pid=1,
                program=program,
                seconds=0.0,
            )
        )
    return found
