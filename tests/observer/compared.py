"""The gate's account of an init, held against that of the second observer."""

from collections import Counter
from collections.abc import Iterable

from crashinit.model.observation import OperationRecord

from .straced import COMM, Change, Seen, steady


def of_gate(operations: Iterable[OperationRecord]) -> Counter[Change]:
    """The gate's operations as both observers can name them; the end of the driver counts once."""
    found = Counter(map(_change, operations))
    return Counter({change: 1 if change.call == "exit_group" else count for change, count in found.items()})


def _change(operation: OperationRecord) -> Change:
    detail = operation.detail
    call = f"ioctl {detail['request']}" if detail["syscall"] == "ioctl" else detail["syscall"]
    thing = detail.get("name") or detail.get("path", "")
    return Change(operation.program[:COMM], call, steady(thing.removesuffix(" (deleted)")))


def differences(gate: Counter[Change], seen: Seen) -> list[str]:
    """What one observer has and the other has not, as sentences.

    The gate writes down a call before it runs, strace after it. So all that took effect must be an operation, and each
    operation must be a call that was made, though it may have failed and changed nothing.
    """
    missed, phantom = seen.done - gate, gate - seen.made
    return [
        *(f"the gate saw {gate[change]} of {seen.done[change]}: {change}" for change in sorted(missed)),
        *(f"strace saw {seen.made[change]} of {gate[change]}: {change}" for change in sorted(phantom)),
    ]
