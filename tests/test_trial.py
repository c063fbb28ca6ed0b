"""Trials on real machines: what strikes, what follows, and which trials stand for others."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from crashinit.adapters import load
from crashinit.adapters.expectation import expectation_of
from crashinit.contract.judge import judge, outcome
from crashinit.contract.observation import Evidence
from crashinit.machine.protocol import Provider
from crashinit.machine.provider import get_provider
from crashinit.plan import Point, Setup, Trial
from crashinit.trial import TrialRunner

pytestmark = pytest.mark.xdist_group("trial")
SETUP = Setup("fresh", (), 60.0)
POOL = Point("pool-create", "before", 21, "dm.create pool#1")
MKFS = Point("mkfs", "during", 40, "dev.write base#3")


@pytest.fixture(scope="module")
def runner(provider: Provider) -> Iterator[TrialRunner]:
    with TrialRunner(provider, load("reference")) as runner:
        yield runner


@pytest.fixture(scope="module")
def reference(runner: TrialRunner) -> Evidence:
    return runner.reference(SETUP)[0]


def kill(point: Point, victim: str) -> Trial:
    return Trial(f"{point.operation}/{victim}", "reference", "test", SETUP, point, "kill", victim, 1)


def error(point: Point, name: str, lasting: str) -> Trial:
    return replace(
        kill(point, lasting), id=f"{point.operation}/{name}-{lasting}", fault="errno", error=name, restarts=3
    )


def end(evidence: Evidence, reference: Evidence) -> tuple[str, str]:
    """Outcome and reason by the whole contract."""
    return outcome(judge(evidence, reference, expectation_of(load("reference"), (), 60.0)), evidence)


def test_to_kill_a_lone_driver_and_to_kill_its_tree_are_one_fault(runner: TrialRunner) -> None:
    """While the driver has no child the second trial is not run again, and says which stands for it."""
    runner.forget()
    alone, _ = runner.run(kill(POOL, "process"))
    merged, seconds = runner.run(kill(POOL, "tree"))

    assert alone.same_as == ""
    assert merged == alone.model_copy(update={"trial": "dm.create pool#1/tree", "same_as": "dm.create pool#1/process"})
    assert "init" not in seconds


def test_with_a_mkfs_at_work_the_two_are_two_faults(runner: TrialRunner, reference: Evidence) -> None:
    """At a block write of mkfs the driver is not alone: both trials run, and both converge."""
    for victim in ("process", "tree"):
        evidence, seconds = runner.run(kill(MKFS, victim))
        assert evidence.same_as == ""
        assert seconds["init"] > 0
        assert evidence.fault_run.operations[-1].program.startswith("mk")
        assert end(evidence, reference) == ("converged", "")


def test_a_failed_call_is_reported_and_the_next_init_converges(runner: TrialRunner, reference: Evidence) -> None:
    """The operation did not run, init said so in the words of C15, and one clean init is enough."""
    runner.forget()
    evidence, _ = runner.run(error(POOL, "ENOMEM", "once"))

    assert evidence.fault == "errno"
    assert evidence.fired is not None and evidence.fired.key == POOL.operation
    assert evidence.fault_run.operations[20].detail["errno"] == "ENOMEM"
    assert evidence.fault_run.exit == 1
    assert "Cannot allocate memory" in evidence.fault_run.stderr
    assert len(evidence.reinits) == 1
    assert end(evidence, reference) == ("converged", "")


def test_an_error_that_lasts_is_another_fault_only_where_the_call_comes_again(runner: TrialRunner) -> None:
    """No later operation of the same kind on the same object: 'always' stands merged with 'once'."""
    once, _ = runner.run(error(POOL, "EBUSY", "once"))
    always, _ = runner.run(error(POOL, "EBUSY", "always"))
    again = [op for op in once.fault_run.operations[21:] if (op.kind, op.object) == ("dm.create", "pool")]

    assert bool(always.same_as) == (not again)


def test_a_re_init_is_crashed_at_a_boundary_of_its_own(runner: TrialRunner, reference: Evidence) -> None:
    """Two crashes, then an init: the first is kept in the evidence, and the state converges."""
    first = kill(MKFS, "tree")
    crashed, _ = runner.run(first)
    there = crashed.reinits[0].operations[3]
    second = replace(first, id="twice", point=Point("", "during", there.n, there.key), earlier=MKFS)
    evidence, _ = runner.run(second)

    assert [run.exit for run in evidence.earlier] == [-9]
    assert evidence.fired is not None and evidence.fired.key == there.key
    assert evidence.fault_run.exit == -9
    assert [operation.key for operation in evidence.fault_run.operations] == [
        operation.key for operation in crashed.reinits[0].operations[:4]
    ]
    assert end(evidence, reference) == ("converged", "")


def test_a_reboot_takes_loops_and_pool_away(runner: TrialRunner, reference: Evidence) -> None:
    """Re-init after a reboot attaches files and makes the pool anew, and converges."""
    runner.forget()
    evidence, _ = runner.run(replace(kill(MKFS, "tree"), id="rebooted", recovery="reboot"))
    kinds = {operation.kind for operation in evidence.reinits[0].operations}

    assert {"loop.configure", "dm.create"} <= kinds
    assert end(evidence, reference) == ("converged", "")


def test_a_trial_from_a_cold_boot_comes_to_the_same_end(reference: Evidence) -> None:
    """Without clone and fork, in a machine that was booted for it, the trial finds the same state."""
    with TrialRunner(get_provider("qemu-cold"), load("reference")) as cold:
        evidence, _ = cold.run(kill(MKFS, "tree"))

    assert evidence.fired is not None and evidence.fired.key == MKFS.operation
    assert end(evidence, reference) == ("converged", "")


def test_beyond_the_last_boundary_nothing_fires(runner: TrialRunner, reference: Evidence) -> None:
    """A fault one boundary further than the init has does not strike, and one nearer does: the plan is complete."""
    count = len(reference.fault_run.operations)
    last = runner.beyond(SETUP, count - 1)

    assert runner.beyond(SETUP, count) is None
    assert last is not None
    assert last.kind == "exit"
