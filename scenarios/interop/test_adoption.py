"""A root that one driver has made, or was killed over, is taken over by the other."""

from typing import Any, NamedTuple

import pytest
from crashinit.adapters import Adapter
from crashinit.adapters.driven import Driven
from crashinit.contract.said import succeeded
from crashinit.machine.protocol import Machine
from crashinit.model.observation import Observation, Run
from crashinit.model.trial import Setup

SETUP = Setup("fresh", (), 60.0)
PAIRS = [("reference", "dockerd"), ("dockerd", "reference")]
# One boundary inside each step: the driver dies before this operation.
KILLED_BEFORE = {
    "reference": {
        "loopback": "loop.configure metadata#1",
        "pool-create": "dm.resume pool#1",
        "base-create": "dm.message pool set_transaction_id#1",
        "mkfs": "exec mkfs.ext4#1",
        "metadata-save": "dm.remove base#1",
    },
    "dockerd": {
        "loopback": "loop.set-fd metadata#1",
        "pool-create": "dm.resume pool#1",
        "base-create": "dm.message pool set_transaction_id#1",
        "mkfs": "exec mkfs.ext4#1",
        "metadata-save": "dm.remove base#1",
    },
}


class Known(NamedTuple):
    """A failure that is known: why, and what the driver says."""

    reason: str
    said: str


# What does not hold, and why. Strict: a failure that is mended must leave this table.
KNOWN = {
    ("reference", "dockerd", "pool-create"): Known(
        "dockerd takes a pool's device without a live table for a foreign one, whoever left it, and never gets past it",
        "is not a thin pool",
    ),
    ("reference", "dockerd", "metadata-save"): Known(
        "the base is still active, and thindriver has made no node for it in /dev/mapper; dockerd looks for that node "
        "and gives up",
        "Base Device UUID and Filesystem verification failed",
    ),
}


def made(run: Run) -> list[str]:
    """The programs that make file systems and were started in a run."""
    return [operation.object for operation in run.operations if operation.kind == "exec" and "mk" in operation.object]


def ids(seen: Observation) -> list[int]:
    """The thin ids in the pool."""
    assert seen.pool is not None
    return [thin.id for thin in seen.pool.thin_devices]


@pytest.mark.parametrize(("maker", "taker"), PAIRS)
def test_a_root_is_adopted(machine: Machine, adapters: dict[str, Adapter], maker: str, taker: str) -> None:
    """After an orderly shutdown the other driver finds the same base: no mkfs, the same thin ids, the same UUID."""
    first, second = (Driven(machine, adapters[name], SETUP) for name in (maker, taker))
    assert succeeded(first.init())
    before = first.observe()
    first.shutdown()

    run = second.init()
    after = second.observe()

    require_success(run)
    assert made(run) == []
    assert before.base is not None
    assert after.base is not None
    assert (after.base.uuid, after.base.check_exit) == (before.base.uuid, 0)
    assert (ids(after), after.base_id, after.pool_name) == (ids(before), before.base_id, before.pool_name)


def test_dockerd_shows_the_pool_of_the_other(machine: Machine, adapters: dict[str, Adapter]) -> None:
    """`docker info` names the pool and the base's size of a root that the reference driver has made."""
    first, second = (Driven(machine, adapters[name], SETUP) for name in PAIRS[0])
    assert succeeded(first.init())
    first.shutdown()
    assert succeeded(second.init())

    said = machine.run("docker", "info").check().stdout

    assert f"Pool Name: {second.observe().pool_name}" in said
    assert "Base Device Size: 16.78MB" in said


class InitError(AssertionError):
    """The second driver's init failed."""


def require_success(run: Run, known: Known | None = None) -> None:
    """Raises InitError with what the driver said last; RuntimeError if a known failure is not the one that is known."""
    if succeeded(run):
        return
    last = (run.stderr.strip().splitlines() or ["it printed nothing"])[-1]
    if known and known.said not in last:
        raise RuntimeError(f"it was known to say '{known.said}', and said '{last}'")
    raise InitError(last)


def crashes() -> list[Any]:
    """Each pair and step; those that are known to fail are marked with their reason."""
    return [
        pytest.param(
            *pair,
            step,
            marks=[pytest.mark.xfail(strict=True, raises=InitError, reason=KNOWN[*pair, step].reason)]
            if (*pair, step) in KNOWN
            else [],
        )
        for pair in PAIRS
        for step in KILLED_BEFORE[pair[0]]
    ]


@pytest.mark.parametrize(("maker", "taker", "step"), crashes())
def test_a_crash_of_the_one_is_recovered_by_the_other(
    machine: Machine, adapters: dict[str, Adapter], maker: str, taker: str, step: str
) -> None:
    """The other driver's init succeeds, with one initialised base that is clean and the only thin device."""
    first, second = (Driven(machine, adapters[name], SETUP) for name in (maker, taker))
    state = first.begin_init(KILLED_BEFORE[maker][step])
    assert state["operation"]["key"] == KILLED_BEFORE[maker][step]
    machine.call("gate_kill", gate=state["gate"], victim="tree")
    first.finish(state["gate"])

    run = second.init()
    after = second.observe()

    require_success(run, KNOWN.get((maker, taker, step)))
    assert after.base is not None
    assert (after.base.fstype, after.base.check_exit) == ("ext4", 0)
    assert ids(after) == [after.base_id]
    assert all(loop.autoclear for loop in after.loops)
    assert len(after.loops) == 2
