"""The map from operation to step, for any driver that keeps its layers in a thin pool.

A trace goes through the steps in order and never back; ENTRIES says what moves it on, and may pass steps over (a
second init makes no file system). Two things are apart from the order: what mkfs and its like ask for is part of
`mkfs` whenever it comes (an orphaned mkfs goes on during the next step), and the driver's exit ends `metadata-save`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from crashinit.contract.family import by_entries
from crashinit.contract.tools import READERS, is_maker
from crashinit.model.observation import OperationRecord

Step = Literal["loopback", "pool-create", "base-create", "mkfs", "metadata-save"]
STEPS: tuple[Step, ...] = get_args(Step)

# Any one of these words in a message tells a reader where init was when it failed: patterns of whole words.
STEP_WORDS: dict[str, str] = {
    "loopback": r"loop\w*|data|metadata|director(?:y|ies)|files?|root",
    "pool-create": r"(?:thin-?)?pools?",
    "base-create": r"base|devices?|thin|transactions?|metadata",
    "mkfs": r"mkfs\S*|mke2fs|tune2fs|file ?systems?|format\w*|base",
    "metadata-save": r"metadata|transactions?|base|devices?",
}
# Verbs of dm.message that touch thin devices or the driver's own transactions
POOL_MESSAGES = ("create_thin", "create_snap", "delete", "set_transaction_id")


@dataclass(frozen=True)
class Names:
    """The dm devices of a trace by what their tables make of them."""

    pools: frozenset[str]
    thins: frozenset[str]


def by_tool(operation: OperationRecord) -> bool:
    """Whether a file system tool asked for the operation, or is started by it."""
    program = operation.object if operation.kind == "exec" else operation.program
    return is_maker(program) or program in READERS


def makes_pool(operation: OperationRecord, names: Names) -> bool:
    """The pool's device is made, loaded or resumed."""
    return operation.kind in ("dm.create", "dm.table-load", "dm.resume") and operation.object in names.pools


def uses_pool(operation: OperationRecord, names: Names) -> bool:
    """A thin device is made; this needs a pool, so one that was given is there."""
    if operation.kind == "dm.message":
        return operation.object.rpartition(" ")[2] in POOL_MESSAGES
    return operation.kind.startswith("dm.") and operation.object in names.thins


def records_base(operation: OperationRecord, names: Names) -> bool:
    """The driver writes metadata over the pool that it made."""
    return operation.kind.startswith("file.") and not operation.object.startswith("/")


def makes_filesystem(operation: OperationRecord, names: Names) -> bool:
    """A program that makes file systems is started, or at work."""
    return is_maker(operation.object if operation.kind == "exec" else operation.program)


def goes_on(operation: OperationRecord, names: Names) -> bool:
    """The driver itself does something again, beyond flushing what the tools have written to the device."""
    return not by_tool(operation) and not operation.kind.startswith("dev.")


# What moves a trace into a step, and the step that it must have reached for that.
ENTRIES: tuple[tuple[Step, Step, Callable[[OperationRecord, Names], bool]], ...] = (
    ("pool-create", "loopback", makes_pool),
    ("base-create", "loopback", uses_pool),
    ("base-create", "pool-create", records_base),
    ("mkfs", "loopback", makes_filesystem),
    ("metadata-save", "mkfs", goes_on),
)


def steps_of(operations: Sequence[OperationRecord]) -> list[str]:
    """The step of each operation of one trace, in the trace's order."""
    names = names_of(operations)
    entries = [(step, after, partial(_enters, enters, names)) for step, after, enters in ENTRIES]
    by_order = by_entries(STEPS, entries, operations)
    return [
        "mkfs" if is_maker(operation.program) and operation.kind not in ("exec", "exit") else step
        for operation, step in zip(operations, by_order, strict=True)
    ]


def _enters(enters: Callable[[OperationRecord, Names], bool], names: Names, operation: OperationRecord) -> bool:
    return enters(operation, names)


def names_of(operations: Sequence[OperationRecord]) -> Names:
    """Which devices are pools and which are thin, by the tables that the trace loads.

    A trace that was cut short has not loaded its tables yet: there a pool is known by the end of its name, and every
    other device is thin.
    """
    loaded = {op.object: op.detail.get("target", "") for op in operations if op.kind == "dm.table-load"}
    made = {op.object for op in operations if op.kind == "dm.create"}
    pools = {name for name, target in loaded.items() if target == "thin-pool"}
    pools |= {name for name in made - set(loaded) if name.endswith("pool")}
    thins = {name for name, target in loaded.items() if target == "thin"} | (made - set(loaded) - pools)
    return Names(frozenset(pools), frozenset(thins))
