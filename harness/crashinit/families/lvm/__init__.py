"""Drivers that have LVM make a thin pool, and volumes in it."""

from crashinit.contract import health
from crashinit.contract.canonical import FAULTS, REPEATS, Allowance
from crashinit.contract.clauses import Clause
from crashinit.contract.family import Family
from crashinit.families.lvm import clauses, steps

ALLOWED = (
    Allowance(
        ("C13",), ("dm/*/uuid",), REPEATS,
        "LVM makes a dm device's UUID of those of group and volume, which it draws at random.",
    ),
    Allowance(
        ("C11", "C13"), ("files/lvm/*",), FAULTS,
        "LVM's archive of its metadata grows with each change; L01 demands that group and devices agree.",
    ),
    Allowance(
        ("C11", "C13"), ("dm/*/status/*/*_used", "pool/thin/*/mapped_blocks"), FAULTS,
        "How many blocks are in use depends on when the pool last committed and on where mkfs put what.",
    ),
    Allowance(
        ("C13",), ("dm/*/status/*/transaction",), FAULTS,
        "LVM's own transaction id grows with each volume that was begun; LVM itself holds it against its metadata.",
    ),
)  # fmt: skip

FAMILY = Family(
    name="lvm",
    title="a thin pool and volumes in it, made by LVM",
    steps=steps.STEPS,
    steps_of=steps.steps_of,
    step_words=steps.STEP_WORDS,
    guest="crashinit.families.lvm.guest",
    own_clauses=(
        Clause("L01", "group-consistent", clauses.group_consistent),
        Clause("L02", "pool-healthy", health.pool_healthy),
    ),
    allowed=ALLOWED,
)
