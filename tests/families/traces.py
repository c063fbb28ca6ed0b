"""Traces in short, for the tests of steps."""

from crashinit.model.observation import OperationRecord


def trace(*lines: str) -> list[OperationRecord]:
    """Operations from lines `kind object [program]`; a blank in an object is written as `|`."""
    found = []
    for n, line in enumerate(lines, 1):
        kind, thing, program = [*line.split(), "driver"][:3]
        found.append(
            OperationRecord(
                n=n,
                key=f"{kind} {thing}#{n}",
                kind=kind,
                object=thing.replace("|", " "),
                detail={},
                pid=1,
                program=program,
                seconds=0.0,
            )
        )
    return found
