"""Drivers that mount a tmpfs: a family that comes from another package."""

from collections.abc import Sequence

from crashinit.contract.case import Case
from crashinit.contract.clauses import Clause
from crashinit.contract.family import Family
from crashinit.contract.verdict import Verdict
from crashinit.model.observation import OperationRecord

STEPS = ("mount", "metadata-save")


def steps_of(operations: Sequence[OperationRecord]) -> list[str]:
    """All up to the mount, and what follows it."""
    mounted = next(
        (n for n, operation in enumerate(operations) if operation.kind.startswith("mount.")), len(operations)
    )
    return [STEPS[n > mounted] for n in range(len(operations))]


def in_memory(case: Case) -> Verdict:
    """After init a tmpfs of the size that was asked for is mounted.

    Source: tmpfs(5), "size".
    """
    found = case.after("more").more.get("tmpfs", "")
    return Verdict.of([] if "size=8192k" in found else [f"the tmpfs has the options '{found}', without 'size=8192k'"])


FAMILY = Family(
    name="ramdisk",
    title="a directory in memory",
    steps=STEPS,
    steps_of=steps_of,
    step_words={"mount": r"u?mount|tmpfs", "metadata-save": r"records?|state"},
    guest="outsider.guest",
    own_clauses=(Clause("R01", "in-memory", in_memory),),
)
