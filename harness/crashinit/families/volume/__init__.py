"""Drivers that bring up one volume, a mounted directory or a block device, whatever lies below it."""

from crashinit.contract.canonical import Allowance
from crashinit.contract.clauses import Clause
from crashinit.contract.family import Family
from crashinit.families.volume import clauses, steps

ALLOWED = (
    Allowance(
        ("C13",), ("volumes/*/uuid", "base/uuid", "metadata/*/uuid"), "repeated inits",
        "mkfs draws a random UUID each time; C18 demands that it is the recorded one.",
    ),
    Allowance(
        ("C13",), ("dm/*/uuid",), "repeated inits",
        "A name that holds a random number of the header, such as LUKS's, differs from machine to machine.",
    ),
    Allowance(
        ("C13",), ("volumes/*/digest",), "faults",
        "The content of a user's volume is C12's, which compares it byte for byte.",
    ),
    Allowance(
        ("C13",), ("metadata/*/id", "metadata/transaction"), "faults",
        "A number that an interrupted init used may be passed over.",
    ),
)  # fmt: skip

FAMILY = Family(
    name="volume",
    title="one volume, mounted or a block device: on loop, dm-linear, dm-crypt, btrfs, plain files",
    steps=steps.STEPS,
    steps_of=steps.steps_of,
    step_words=steps.STEP_WORDS,
    guest="crashinit.families.volume.guest",
    own_clauses=(Clause("V01", "volume-there", clauses.volume_there),),
    allowed=ALLOWED,
)
