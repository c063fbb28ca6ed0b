"""Drivers that bring up one volume, a mounted directory or a block device, whatever lies below it."""

from crashinit.contract.canonical import REPEATS, Allowance
from crashinit.contract.clauses import Clause
from crashinit.contract.family import Family
from crashinit.families.volume import clauses, steps

FAMILY = Family(
    name="volume",
    title="one volume, mounted or a block device: on loop, dm-linear, dm-crypt, btrfs, plain files",
    steps=steps.STEPS,
    steps_of=steps.steps_of,
    step_words=steps.STEP_WORDS,
    guest="crashinit.families.volume.guest",
    own_clauses=(Clause("V01", "volume-there", clauses.volume_there),),
    allowed=(
        Allowance(("C13",), ("dm/*/uuid",), REPEATS, "A dm device's UUID may hold a random one, as LUKS's does."),
    ),
)
