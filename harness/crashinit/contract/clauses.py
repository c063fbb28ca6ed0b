"""The table of the core's clauses. A clause is one function from a case to a verdict; a new one is one more row."""

from collections.abc import Callable
from dataclasses import dataclass

from crashinit.contract import base, data, durable, honest, leftovers, recovery
from crashinit.contract.case import Case
from crashinit.contract.verdict import Verdict


@dataclass(frozen=True)
class Clause:
    """One numbered requirement; its text is the docstring of `judge`."""

    id: str
    name: str
    judge: Callable[[Case], Verdict]


# What holds for whatever brings storage up; a family adds its own (family.py).
CORE: tuple[Clause, ...] = (
    Clause("C01", "init-succeeds", recovery.init_succeeds),
    Clause("C04", "no-leaks", leftovers.no_leaks),
    Clause("C05", "ids-agree", base.ids_agree),
    Clause("C06", "base-recorded", base.base_recorded),
    Clause("C07", "base-clean", base.base_clean),
    Clause("C08", "base-usable", base.base_usable),
    Clause("C11", "idempotent", recovery.idempotent),
    Clause("C12", "data-kept", data.data_kept),
    Clause("C13", "equivalent", recovery.equivalent),
    Clause("C14", "durable", durable.durable),
    Clause("C15", "honest", honest.honest),
    Clause("C16", "exclusive", honest.exclusive),
    Clause("C17", "kernel-quiet", leftovers.kernel_quiet),
    Clause("C18", "base-identity", base.base_identity),
)
