"""The map from operation to step for a driver that brings up one volume, whatever lies below it.

A trace goes through the steps in order and never back, and may pass steps over: a plain directory on a loop device has
no `map`, and a second init no `mkfs`.
"""

from collections.abc import Sequence

from crashinit.contract.family import Entries, by_entries
from crashinit.contract.tools import makes_filesystem, program_of
from crashinit.model.observation import OperationRecord

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
    return operation.kind.startswith("dm.") or program_of(operation) in MAPPERS


def mounts(operation: OperationRecord) -> bool:
    """The file system is mounted, or used: subvolumes are made in it."""
    return operation.kind.startswith(("mount.", "btrfs.subvol"))


def records(operation: OperationRecord) -> bool:
    """The driver writes below its root what is no loop file: its records."""
    return operation.kind.startswith("file.") and not operation.object.startswith("/")


ENTRIES: Entries = (
    ("map", "loopback", maps),
    ("mkfs", "loopback", makes_filesystem),
    ("mount", "loopback", mounts),
    ("metadata-save", "mount", records),
)


def steps_of(operations: Sequence[OperationRecord]) -> list[str]:
    """The step of each operation of one trace, in the trace's order."""
    return by_entries(STEPS, ENTRIES, operations)
