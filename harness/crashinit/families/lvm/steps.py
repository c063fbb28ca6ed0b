"""The map from operation to step for a driver that has LVM make its thin pool and volumes.

The steps are those of the thin pool's family. What begins them is a program of LVM's, not a request of device-mapper:
one `vgchange` of a later init makes them all in one go, and is of the step `pool-create`.
"""

from collections.abc import Sequence

from crashinit.contract.family import Entries, by_entries
from crashinit.contract.tools import makes_filesystem, program_of
from crashinit.model.observation import OperationRecord

STEPS = ("loopback", "pool-create", "base-create", "mkfs", "metadata-save")
# Any one of these words in a message tells a reader where init was when it failed: patterns of whole words.
STEP_WORDS: dict[str, str] = {
    "loopback": r"loop\w*|losetup|image|data|director(?:y|ies)|files?|root|truncate|mkdir",
    "pool-create": r"(?:thin-?)?pools?|pv\w*|vg\w*|lv\w*|(?:physical |logical )?volumes?|groups?|activat\w*",
    "base-create": r"base|lv\w*|(?:logical )?volumes?|thin|devices?",
    "mkfs": r"mkfs\S*|mke2fs|file ?systems?|format\w*|base",
    "metadata-save": r"records?|metadata|state|saved?|files?|rename|mv|sync",
}
OF_LVM = ("lvm", "pvcreate", "vgcreate", "vgchange", "lvcreate", "lvchange", "pvscan", "vgcfgrestore", "lvconvert")


def makes_pool(operation: OperationRecord) -> bool:
    """A program of LVM's is started."""
    return operation.kind == "exec" and program_of(operation) in OF_LVM


def makes_base(operation: OperationRecord) -> bool:
    """The pool is told to make a thin device, or a device on it is made."""
    verb = operation.object.rpartition(" ")[2]
    return operation.kind == "dm.message" and verb in ("create_thin", "create_snap")


def records(operation: OperationRecord) -> bool:
    """The driver itself writes below its root: its records, and not what LVM keeps there."""
    written = operation.kind.startswith("file.") and not operation.object.startswith("/")
    return written and program_of(operation) not in OF_LVM


ENTRIES: Entries = (
    ("pool-create", "loopback", makes_pool),
    ("base-create", "pool-create", makes_base),
    ("mkfs", "pool-create", makes_filesystem),
    ("metadata-save", "mkfs", records),
)


def steps_of(operations: Sequence[OperationRecord]) -> list[str]:
    """The step of each operation of one trace, in the trace's order."""
    return by_entries(STEPS, ENTRIES, operations)
