"""Drivers that keep their layers in a thin pool, as Docker's devicemapper does."""

from crashinit.contract import health
from crashinit.contract.clauses import Clause
from crashinit.contract.family import Family, OwnDisks
from crashinit.families.thinpool import expectation, pool, steps

FAMILY = Family(
    name="thinpool",
    title="layers in a thin pool, as Docker's devicemapper driver keeps them",
    steps=steps.STEPS,
    steps_of=steps.steps_of,
    step_words=steps.STEP_WORDS,
    guest="crashinit.families.thinpool.guest",
    expectation=expectation.PoolExpectation,
    expected=expectation.expected,
    own_clauses=(
        Clause("C02", "one-pool", pool.one_pool),
        Clause("C03", "backing", pool.backing),
        Clause("C09", "transaction", pool.transaction),
        Clause("C10", "pool-healthy", health.pool_healthy),
    ),
    idle_loops=pool.idle_loops,
    stays=pool.stays,
    own_disks=OwnDisks(expectation.disk_sizes, expectation.disk_options, expectation.disk_devices),
)
