"""Drivers that have LVM make a thin pool, and volumes in it."""

from crashinit.contract.canonical import Allowance
from crashinit.contract.clauses import Clause
from crashinit.contract.family import Family
from crashinit.families.lvm import clauses, steps

ALLOWED = (
    Allowance(
        ("C13",), ("dm/*/uuid", "base/uuid", "volumes/*/uuid", "metadata/*/uuid"), "repeated inits",
        "LVM and mkfs draw random UUIDs each time; C18 demands that the base's is the recorded one.",
    ),
    Allowance(
        ("C11", "C13"), ("files/lvm/*",), "faults",
        "LVM's archive of its metadata grows with each change; L01 demands that group and devices agree.",
    ),
    Allowance(
        ("C13",), ("metadata/*/id", "metadata/transaction"), "faults",
        "A thin id that an interrupted init used may be passed over; C05 demands that pool and records agree.",
    ),
    Allowance(
        ("C11", "C13"), ("dm/*/status/*/*_used", "pool/thin/*/mapped_blocks"), "faults",
        "How many blocks are in use depends on when the pool last committed and on where mkfs put what.",
    ),
    Allowance(
        ("C13",), ("dm/*/status/*/transaction", "pool/thin/*/transaction", "pool/thin/*/digest"), "faults",
        "A transaction that was interrupted is used up; C12 compares the data of the users' devices.",
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
        Clause("L02", "pool-healthy", clauses.pool_healthy),
    ),
    allowed=ALLOWED,
)
