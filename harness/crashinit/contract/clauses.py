"""The table of clauses. A clause is one function from a case to a verdict; a new one is one more row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crashinit.contract import base, data, durable, honest, leftovers, pool, recovery
from crashinit.contract.case import Case
from crashinit.contract.verdict import Verdict


@dataclass(frozen=True)
class Clause:
    """One numbered requirement; its text is the docstring of `judge`."""

    id: str
    name: str
    judge: Callable[[Case], Verdict]


CLAUSES: Mapping[str, Clause] = {
    clause.id: clause
    for clause in (
        Clause("C01", "init-succeeds", recovery.init_succeeds),
        Clause("C02", "one-pool", pool.one_pool),
        Clause("C03", "backing", pool.backing),
        Clause("C04", "no-leaks", leftovers.no_leaks),
        Clause("C05", "ids-agree", base.ids_agree),
        Clause("C06", "base-recorded", base.base_recorded),
        Clause("C07", "base-clean", base.base_clean),
        Clause("C08", "base-usable", base.base_usable),
        Clause("C09", "transaction", pool.transaction),
        Clause("C10", "pool-healthy", pool.pool_healthy),
        Clause("C11", "idempotent", recovery.idempotent),
        Clause("C12", "data-kept", data.data_kept),
        Clause("C13", "equivalent", recovery.equivalent),
        Clause("C14", "durable", durable.durable),
        Clause("C15", "honest", honest.honest),
        Clause("C16", "exclusive", honest.exclusive),
        Clause("C17", "kernel-quiet", leftovers.kernel_quiet),
        Clause("C18", "base-identity", base.base_identity),
    )
}
