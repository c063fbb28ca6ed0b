"""The map from operation to step for a driver that brings up one volume, whatever lies below it.

A trace goes through the steps in order and never back, and may pass steps over: a plain directory on a loop device has
no `map`, and a second init no `mkfs`.
"""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from crashinit.contract.tools import is_maker
from crashinit.model.observation import OperationRecord
from crashinit.model.operations import READS

STEPS = ("loopback", "map", "mkfs", "mount", "metadata-save")
# Any one of these words in a message tells a reader where init was when it failed: patterns of whole words.
STEP_WORDS: dict[str, str] = {
    "loopback": r"loop\w*|losetup|image|files?|director(?:y|ies)|root|truncate|mkdir",
    "map": r"dm\S*|crypt\w*|luks\w*|map\w*|open\w*|verity\w*|devices?",
    "mkfs": r"mkfs\S*|mke2fs|file ?systems?|format\w*",
    "mount": r"u?mount\w*|subvolumes?|director(?:y|ies)",
    "metadata-save": r"records?|metadata|state|saved?|files?|rename|mv|sync",
}
# Programs that put something between the loop device and the file system
MAPPERS = ("cryptsetup", "dmsetup", "veritysetup", "integritysetup", "mdadm", "bcache-super-show", "make-bcache")


def maps(operation: OperationRecord) -> bool:
    """A device is put on the loop device."""
    return operation.kind.startswith("dm.") or _program(operation) in MAPPERS


def makes_filesystem(operation: OperationRecord) -> bool:
    """A program that makes file systems is started, or at work."""
    return is_maker(_program(operation))


def mounts(operation: OperationRecord) -> bool:
    """The file system is mounted, or used: subvolumes are made in it."""
    return operation.kind.startswith(("mount.", "btrfs.subvol"))


def records(operation: OperationRecord) -> bool:
    """The driver writes below its root what is no loop file: its records."""
    return operation.kind.startswith("file.") and not operation.object.startswith("/")


ENTRIES: tuple[tuple[str, str, Callable[[OperationRecord], bool]], ...] = (
    ("map", "loopback", maps),
    ("mkfs", "loopback", makes_filesystem),
    ("mount", "loopback", mounts),
    ("metadata-save", "mount", records),
)


def steps_of(operations: Sequence[OperationRecord]) -> list[str]:
    """The step of each operation of one trace, in the trace's order."""
    reached = 0
    steps: list[str] = []
    for operation in operations:
        for step, after, enters in ENTRIES:
            n = STEPS.index(step)
            if operation.kind not in READS and STEPS.index(after) <= reached < n and enters(operation):
                reached = n
                break
        steps.append("metadata-save" if operation.kind == "exit" else STEPS[reached])
    return steps


def _program(operation: OperationRecord) -> str:
    name = operation.object if operation.kind == "exec" else operation.program
    return PurePosixPath(name).name
