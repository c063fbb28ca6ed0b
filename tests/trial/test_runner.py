"""Trials on real machines: what strikes, what follows, and which trials stand for others."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit.adapters import load
from crashinit.contract.judge import judge, outcome
from crashinit.contract.verdict import Verdict
from crashinit.machine.protocol import Provider
from crashinit.machine.provider import get_provider
from crashinit.model.observation import Evidence, Run
from crashinit.model.operations import READS
from crashinit.model.trial import Point, Setup, Trial
from crashinit.trial.runner import TrialRunner

pytestmark = pytest.mark.xdist_group("trial")
SETUP = Setup("fresh", (), 60.0)
USED = Setup("populated", (), 60.0)
VIRTUAL = "qemu-virtual:7"
# What a daemon does: {body} is a shell script, in which `up` says that its init is over.
DAEMON = """
name = "d"
title = "a daemon"
root = "/var/lib/d"
init = ["bash", "-c", '''{body}''']
ready = {{ log = "^up$" }}
"""


@pytest.fixture(scope="module")
def runner(provider: Provider) -> Iterator[TrialRunner]:
    with TrialRunner(provider, load("reference")) as runner:
        yield runner


@pytest.fixture(scope="module")
def reference(runner: TrialRunner) -> Evidence:
    return runner.reference(SETUP)[0]


@pytest.fixture(scope="module")
def at(reference: Evidence) -> Callable[[str], Point]:
    """The boundary of the reference driver's init at an operation."""
    numbers = {operation.key: operation.n for operation in reference.fault_run.operations}
    return lambda key: Point("", "during", numbers[key], key)


@pytest.fixture
def pool(at: Callable[[str], Point]) -> Point:
    return at("dm.create pool#1")


@pytest.fixture
def mkfs(at: Callable[[str], Point]) -> Point:
    """A write of mkfs, while the driver waits for it."""
    return at("dev.write base#3")


@pytest.fixture
def daemon(provider: Provider, tmp_path: Path) -> Callable[[str], TrialRunner]:
    """A runner of a daemon with this script."""

    def make(body: str) -> TrialRunner:
        path = tmp_path / "d.toml"
        path.write_text(DAEMON.format(body=body))
        return TrialRunner(provider, load(str(path)))

    return make


def kill(point: Point, victim: str) -> Trial:
    return Trial(f"{point.operation}/{victim}", "reference", "test", SETUP, point, "kill", victim, 1)


def error(point: Point, name: str, lasting: str) -> Trial:
    return replace(
        kill(point, lasting), id=f"{point.operation}/{name}-{lasting}", fault="errno", error=name, restarts=3
    )


def judged(evidence: Evidence, reference: Evidence) -> dict[str, Verdict]:
    return judge(evidence, reference, load("reference").expectation((), 60.0), load("reference").kind)


def end(evidence: Evidence, reference: Evidence) -> tuple[str, str]:
    """Outcome and reason by the whole contract."""
    return outcome(judged(evidence, reference), evidence, load("reference").kind)


def calls(run: Run) -> list[tuple[str, str]]:
    """What a run asked for, each with the error that it got."""
    return [(operation.key, operation.detail.get("errno", "")) for operation in run.operations]


def test_to_kill_a_lone_driver_and_to_kill_its_tree_are_one_fault(runner: TrialRunner, pool: Point) -> None:
    """While the driver has no child the second trial is not run again, and says which stands for it."""
    runner.forget()
    alone, _ = runner.run(kill(pool, "process"))
    merged, seconds = runner.run(kill(pool, "tree"))

    assert alone.same_as == ""
    assert merged == alone.model_copy(update={"trial": "dm.create pool#1/tree", "same_as": "dm.create pool#1/process"})
    assert "init" not in seconds


def test_with_a_mkfs_at_work_the_two_are_two_faults(runner: TrialRunner, reference: Evidence, mkfs: Point) -> None:
    """At a block write of mkfs the driver is not alone: both run, each with its own victim, and both converge."""
    for victim in ("process", "tree"):
        evidence, _ = runner.run(kill(mkfs, victim))
        assert evidence.same_as == ""
        assert evidence.fired is not None and evidence.fired.key == mkfs.operation
        assert evidence.fault_run.operations[-1].detail["killed"] == victim
        assert end(evidence, reference) == ("converged", "")


def test_a_failed_call_is_reported_and_the_next_init_converges(
    runner: TrialRunner, reference: Evidence, pool: Point
) -> None:
    """The operation did not run, init said so in the words of C15, and one clean init is enough."""
    runner.forget()
    evidence, _ = runner.run(error(pool, "ENOMEM", "once"))

    assert evidence.fault == "errno"
    assert evidence.fired is not None and evidence.fired.key == pool.operation
    assert (pool.operation, "ENOMEM") in calls(evidence.fault_run)
    assert evidence.fault_run.exit == 1
    assert "Cannot allocate memory" in evidence.fault_run.stderr
    assert len(evidence.reinits) == 1
    assert end(evidence, reference) == ("converged", "")


def test_only_the_init_that_an_error_strikes_is_stopped_where_it_asks(runner: TrialRunner) -> None:
    """A stop takes time: the inits that follow are held at nothing that only asks."""
    point = Point("", "during", 0, "loop.get-status data#1")
    trial = replace(error(point, "ENXIO", "once"), setup=replace(SETUP, reads=True))
    evidence, _ = runner.run(trial)

    assert evidence.fired is not None and evidence.fired.kind in READS
    assert evidence.reinits and evidence.again is not None
    later = [operation.kind for run in (*evidence.reinits, evidence.again) for operation in run.operations]
    assert "loop.configure" in later
    assert not set(later) & set(READS)


def test_an_error_that_lasts_and_strikes_no_further_call_is_merged(runner: TrialRunner, pool: Point) -> None:
    """It stands merged with the error that strikes once, and run by itself it shows the very same."""
    runner.forget()
    once, _ = runner.run(error(pool, "EBUSY", "once"))
    merged, _ = runner.run(error(pool, "EBUSY", "always"))
    runner.forget()
    always, _ = runner.run(error(pool, "EBUSY", "always"))

    assert merged.same_as == once.trial
    assert always.same_as == ""
    assert calls(always.fault_run) == calls(once.fault_run)
    assert (always.fault_run.exit, always.fault_run.stderr) == (once.fault_run.exit, once.fault_run.stderr)


def test_an_error_that_lasts_is_another_fault_where_the_call_comes_again(
    runner: TrialRunner, at: Callable[[str], Point]
) -> None:
    """The driver removes a busy device once more: it fails each time, or the first time only."""
    runner.forget()
    busy = at("dm.remove base#1")
    once, _ = runner.run(error(busy, "EBUSY", "once"))
    always, _ = runner.run(error(busy, "EBUSY", "always"))

    assert always.same_as == ""
    assert ("dm.remove base#2", "") in calls(once.fault_run)
    assert ("dm.remove base#2", "EBUSY") in calls(always.fault_run)


def test_an_error_that_is_tolerated_is_followed_by_an_init_if_the_machine_restarts(
    runner: TrialRunner, reference: Evidence, at: Callable[[str], Point]
) -> None:
    """What the init set up in spite of the error has gone with the machine: the init that follows is judged."""
    runner.forget()
    trial = replace(error(at("dm.remove base#1"), "EBUSY", "once"), id="rebooted", recovery="reboot")
    evidence, _ = runner.run(trial)

    assert evidence.fault_run.exit == 0
    assert len(evidence.reinits) == 1 and evidence.reinits[0] != evidence.fault_run
    assert "loop.configure data#1" in dict(calls(evidence.reinits[0]))
    assert end(evidence, reference) == ("converged", "")


def test_an_error_that_a_daemon_tolerates_can_be_followed_by_a_restart_of_the_machine(
    daemon: Callable[[str], TrialRunner],
) -> None:
    """The daemon has gone with the machine: the next init ends none, and begins anew."""
    with daemon("mkdir -p {root} 2>/dev/null; echo up; while :; do sleep 0.1; done") as runner:
        point = Point("", "before", 1, "exec mkdir#1")
        evidence, _ = runner.run(replace(error(point, "EAGAIN", "once"), recovery="reboot"))

    assert evidence.fault_run.exit is None
    assert [run.exit for run in evidence.reinits] == [None]
    assert dict(calls(evidence.fault_run))["exec mkdir#1"] == "EAGAIN"
    assert dict(calls(evidence.reinits[0]))["exec mkdir#1"] == ""


def test_an_error_that_lasts_is_another_fault_while_a_daemon_lives(daemon: Callable[[str], TrialRunner]) -> None:
    """The call that comes at its end fails as well, which nothing in the record of its init tells."""
    at_its_end = 'trap "echo end >{root}/log; exit" TERM'
    body = f"mkdir -p {{root}}; {at_its_end}; echo a >{{root}}/log; echo up; while :; do sleep 0.1; done"
    with daemon(body) as runner:
        point = Point("", "before", 1, "file.create log#1")
        once, _ = runner.run(error(point, "EACCES", "once"))
        always, _ = runner.run(error(point, "EACCES", "always"))

    assert once.fault_run.exit is None
    assert dict(calls(once.fault_run))["file.create log#1"] == "EACCES"
    assert always.same_as == ""
    assert [len(evidence.stops[0].stderr.splitlines()) for evidence in (once, always)] == [1, 2]


def test_a_daemon_whose_one_more_init_fails_breaks_the_clause_on_one_more_init(
    daemon: Callable[[str], TrialRunner],
) -> None:
    """There is nothing to shut down then, which is no error of the harness; what is left is looked at all the same."""
    with daemon("mkdir {root} || exit 3; echo up; exec sleep 1000") as runner:
        evidence, _ = runner.reference(SETUP)
    verdicts = judge(evidence, evidence, runner.adapter.expectation((), 60.0), runner.adapter.kind)

    assert evidence.again is not None and evidence.again.exit == 3
    assert evidence.shutdown is None
    assert evidence.after_shutdown is not None
    assert verdicts["C11"].status == "fail"
    assert verdicts["C11"].reason.startswith("one more init ended with exit status 3: 'mkdir:")
    assert not any(verdict.unseen for verdict in verdicts.values())


def test_a_daemon_that_hangs_at_its_end_is_judged_for_it(daemon: Callable[[str], TrialRunner]) -> None:
    """Also where the end comes ahead of one more init: that is kept in the evidence, and breaks C04."""
    body = 'trap "" TERM; mkdir -p {root}; echo up; while :; do sleep 0.1; done'
    with daemon(body) as runner:
        evidence, _ = runner.reference(replace(SETUP, deadline=3.0))
    verdicts = judge(evidence, evidence, runner.adapter.expectation((), 3.0), runner.adapter.kind)

    assert [run.timed_out for run in evidence.stops] == [True]
    assert verdicts["C04"].reason.startswith("before one more init the daemon did not end in time")


def test_trials_at_a_place_that_never_comes_share_one_init(runner: TrialRunner) -> None:
    """That it does not occur is known from the plan, and one init shows it for all of them."""
    runner.forget()
    first, second = (Point("", phase, 0, "(the step does not occur)") for phase in ("before", "after"))
    one, _ = runner.run(kill(first, "process"))
    other, _ = runner.run(replace(kill(second, "tree"), id="other"))

    assert (one.fired, other.fired) == (None, None)
    assert other == one.model_copy(update={"trial": "other"})
    assert one.fault_run.exit == 0


def test_a_re_init_is_crashed_at_a_boundary_of_its_own(runner: TrialRunner, reference: Evidence, mkfs: Point) -> None:
    """Two crashes, then an init: the first is kept in the evidence, and the state converges."""
    first = kill(mkfs, "tree")
    crashed, _ = runner.run(first)
    there = crashed.reinits[0].operations[3]
    second = replace(first, id="twice", point=Point("", "during", there.n, there.key), earlier=mkfs)
    evidence, _ = runner.run(second)

    assert [run.exit for run in evidence.earlier] == [-9]
    assert evidence.fired is not None and evidence.fired.key == there.key
    assert evidence.fault_run.exit == -9
    assert [operation.key for operation in evidence.fault_run.operations] == [
        operation.key for operation in crashed.reinits[0].operations[:4]
    ]
    assert end(evidence, reference) == ("converged", "")


@pytest.mark.turn(0)
def test_a_reboot_takes_loops_and_pool_away(runner: TrialRunner, reference: Evidence, mkfs: Point) -> None:
    """Re-init after a reboot attaches files and makes the pool anew, and converges."""
    runner.forget()
    evidence, _ = runner.run(replace(kill(mkfs, "tree"), id="rebooted", recovery="reboot"))
    kinds = {operation.kind for operation in evidence.reinits[0].operations}

    assert {"loop.configure", "dm.create"} <= kinds
    assert end(evidence, reference) == ("converged", "")


def test_a_trial_from_a_cold_boot_comes_to_the_same_end(reference: Evidence, mkfs: Point) -> None:
    """Without clone and fork, in a machine that was booted for it, the trial finds the same state."""
    with TrialRunner(get_provider("qemu-cold"), load("reference")) as cold:
        evidence, _ = cold.run(kill(mkfs, "tree"))

    assert evidence.fired is not None and evidence.fired.key == mkfs.operation
    assert end(evidence, reference) == ("converged", "")


@pytest.mark.turn(0)
def test_a_used_root_is_that_of_the_machine_which_was_booted_for_the_trial(runner: TrialRunner, pool: Point) -> None:
    """Each machine has a used root of its own: its data are compared with what it held itself, and are kept."""
    with TrialRunner(get_provider("qemu-cold"), load("reference")) as cold:
        one, _ = cold.run(replace(kill(pool, "tree"), setup=USED))
        cold.forget()
        other, _ = cold.run(replace(kill(pool, "tree"), setup=USED))

    assert one.before is not None and other.before is not None
    assert one.before.base is not None and other.before.base is not None
    assert one.before.base.uuid != other.before.base.uuid
    assert judged(other, runner.reference(USED)[0])["C12"].status == "pass"


@pytest.mark.turn(1)
def test_in_virtual_time_a_trial_is_the_same_alone_as_among_others(pool: Point, mkfs: Point) -> None:
    """All that is observed of it, with seconds and UUIDs, is equal, whichever boundaries an init was forked at before.

    So it is for a crash of the init after a crash.
    """
    second = replace(kill(mkfs, "tree"), id="twice", earlier=mkfs)
    with TrialRunner(get_provider(VIRTUAL), load("reference")) as runner:
        runner.run(kill(pool, "tree"))
        first, _ = runner.run(kill(mkfs, "tree"))
        reinit = first.reinits[0].operations
        early, late = (replace(second, point=Point("", "during", at.n, at.key)) for at in (reinit[2], reinit[5]))
        runner.run(early)
        among = [first, runner.run(late)[0]]
    with TrialRunner(get_provider(VIRTUAL), load("reference")) as runner:
        alone = [runner.run(late)[0]]
        runner.forget()
        alone.insert(0, runner.run(kill(mkfs, "tree"))[0])

    assert [one.fired and one.fired.key for one in among] == [mkfs.operation, late.point.operation]
    assert among == alone


def test_beyond_the_last_boundary_nothing_fires(runner: TrialRunner, reference: Evidence) -> None:
    """A fault one boundary further than the init has does not strike, and one nearer does: the plan is complete."""
    count = len(reference.fault_run.operations)
    last = runner.beyond(SETUP, count - 1)

    assert runner.beyond(SETUP, count) is None
    assert last is not None
    assert last.kind == "exit"
