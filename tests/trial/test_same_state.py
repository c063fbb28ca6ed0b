"""Trials in equal states are one trial: when two states are equal, what then stands for what, and what proves it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crashinit.campaign import campaign
from crashinit.campaign.tries import HowOften, own_verdict
from crashinit.campaign.units import groups
from crashinit.guest.calls import STOPPED
from crashinit.guest.requests import CHANGING
from crashinit.machine.protocol import Machine, Provider
from crashinit.model.events import Note, RunExtended, RunFinished, TrialConfirmed, TrialResult
from crashinit.model.observation import Evidence, OperationRecord, Run
from crashinit.model.trial import Point, Setup, Trial
from crashinit.report import file_listeners, read
from crashinit.run.kept import stored
from crashinit.scenario import scenario
from crashinit.trial.same_state import (
    ONE_IN,
    QUIET,
    SameState,
    State,
    difference,
    sample,
    standing_for,
    state_of,
    unmerged,
    versions,
)

from ..contract import builder
from ..report.events import failing, results
from ..toys import shell_driver

SETUP = Setup("fresh", (), 60.0)
FACTS = {"digests": {"dm": "1", "files": "2"}, "busy": False, "rested": True}


def operation(n: int, kind: str, pid: int = 7, **detail: str) -> OperationRecord:
    return OperationRecord(
        n=n, key=f"{kind} x#{n}", kind=kind, object="x", detail=detail, pid=pid, program="d", seconds=0.0
    )


def struck(operations: list[OperationRecord], **facts: Any) -> Run:
    return builder.run().model_copy(update={"exit": 1, "operations": operations, **facts})


def trial(fault: str = "kill", **facts: Any) -> Trial:
    one = Trial("t", "d", "s", SETUP, Point("mkfs", "during", 1, ""), fault, "tree", 1)
    return replace(one, **facts)


def state(operations: list[OperationRecord], at: int, one: Trial | None = None, **facts: Any) -> State | None:
    """The state after a fault at the operation with this number, the last of which came after the fault."""
    found = state_of(one or trial(), 1, (), struck(operations), operations[at - 1])
    return found and found.with_facts({**FACTS, **facts})


WRITE, SYNC, RENAME = operation(1, "dev.write"), operation(2, "dev.fsync"), operation(3, "file.rename", killed="tree")


def test_between_two_calls_that_change_content_there_is_one_content() -> None:
    """A boundary's content has the number of the last such call; one that nobody knows is such a call."""
    kinds = ("exec", "dev.write", "dev.fsync", "dev.read", "exit", "unheard-of", "exit")
    assert list(versions([operation(n, kind) for n, kind in enumerate(kinds, 1)]).values()) == [0, 0, 2, 2, 2, 2, 6]


@pytest.mark.parametrize(
    "kind",
    [
        "file.write", "file.create", "file.truncate", "file.allocate", "file.rename", "file.unlink", "file.link",
        "file.submit", "file.clone", "dev.write", "dev.submit", "dev.discard", "dm.table-load", "dm.resume",
        "dm.suspend", "dm.message", "dm.remove", "mount.mount", "mount.umount", "mount.create", "fs.resize", "unknown",
    ],
)  # fmt: skip
def test_what_writes_content_is_never_quiet(kind: str) -> None:
    """The facts do not hold what large files and devices hold: whoever may change that makes another content."""
    assert kind not in QUIET


def test_of_the_requests_that_change_storage_only_these_are_quiet() -> None:
    """A request that is added to the gate's table changes content until somebody has thought about it."""
    kinds = {request.kind for requests in CHANGING.values() for request in requests}
    assert STOPPED
    assert kinds & QUIET == {
        "dm.create", "loop.get-free", "loop.configure", "loop.set-fd", "loop.set-status", "loop.clr-fd", "file.fsync",
    }  # fmt: skip


def test_kills_before_and_after_a_sync_leave_one_state() -> None:
    """Nothing but the sync lies between them; a write between them makes two, and so does another fact."""
    before = state([WRITE, SYNC.model_copy(update={"detail": {"killed": "tree"}})], 2)
    after = state([WRITE, SYNC, RENAME], 3)

    assert before is not None
    assert before == after
    assert state([WRITE, operation(2, "dev.write"), RENAME], 3) != before
    assert state([WRITE, SYNC, RENAME], 3, busy=True) != before
    assert state([WRITE, SYNC, RENAME], 3, digests={"dm": "other", "files": "2"}) != before


@pytest.mark.parametrize(
    ("operations", "one", "facts"),
    [
        ([WRITE, SYNC, RENAME], trial(), {"rested": False}),
        ([WRITE, SYNC, RENAME], trial(recovery="reboot"), {}),
        ([WRITE, SYNC, operation(3, "file.rename")], trial(), {}),
        ([WRITE, SYNC, operation(3, "file.open", errno="EIO"), operation(4, "mount.mount")], trial("errno"), {}),
        ([WRITE, SYNC, operation(3, "file.open", errno="EIO"), operation(4, "dev.write")], trial("errno"), {}),
    ],
    ids=["not at rest", "the disk counts", "a child went on", "untold", "data untold"],
)
def test_a_state_that_is_not_known_whole_is_like_no_other(
    operations: list[OperationRecord], one: Trial, facts: dict[str, Any]
) -> None:
    """Then the trial is run."""
    assert state(operations, 3, one, **facts) is None


def test_what_a_run_did_not_see_makes_its_states_unknown() -> None:
    """A mapping may have changed content at any time since; a module is a fact, and a refused call changed nothing."""
    operations = [WRITE, SYNC, RENAME]
    for said, known in (("mmap of 'x': stores", False), ("finit_module: a module", True), ("io_uring_setup: no", True)):
        run = struck(operations, unseen=[said])
        assert (state_of(trial(), 1, (), run, RENAME) is not None) == known
        assert (state_of(trial(), 1, (run,), struck(operations), RENAME) is not None) == known
        evidence = builder.evidence().model_copy(update={"fault_run": run})
        assert bool(unmerged({SETUP: evidence}, [trial(setup=SETUP)])) != known


def test_a_write_that_another_process_may_still_be_at_makes_a_boundary_of_its_own() -> None:
    """Whether it is over is known only when its program asks for something more."""
    first = state([WRITE, operation(2, "dev.fsync", pid=8, killed="tree")], 2)
    second = state([WRITE, operation(2, "dev.fsync", pid=8), operation(3, "exit", pid=8, killed="tree")], 3)

    assert None not in (first, second)
    assert first != second


def test_errors_after_which_an_init_only_ends_leave_one_state() -> None:
    """Whichever error it was; one after which it changed something more leaves another, and its data count."""
    ends = [
        state([WRITE, operation(2, "dev.fsync", errno=error), operation(3, "exit")], 2, trial("errno", error=error))
        for error in ("EIO", "ENOSPC")
    ]
    more = [
        state([WRITE, operation(2, "dev.fsync", errno="EIO"), operation(3, "dev.write", data=data)], 2, trial("errno"))
        for data in ("a", "b", "a")
    ]

    assert ends[0] is not None
    assert ends[0] == ends[1]
    assert more[0] is not None
    assert more[0] == more[2]
    assert len({ends[0], *more}) == 3


def test_a_trial_in_the_state_of_another_keeps_what_its_own_fault_did() -> None:
    """What came later is that one's; an init that succeeded in spite of its error is its own, too."""
    leader = builder.evidence().model_copy(update={"trial": "first"})
    leader = leader.model_copy(update={"reinits": [leader.fault_run]})
    run = leader.fault_run.model_copy(update={"stderr": "mine"})
    own = {"fault": "errno", "fault_run": run, "fired": operation(1, "exec"), "earlier": []}
    one = state([WRITE, SYNC, RENAME], 3)
    known = SameState()
    known.remember(one, leader)

    assert known.find(one, trial(id="first")) is None
    assert known.find(one, trial()) == leader
    follower = standing_for(leader, "t", own)
    assert (follower.trial, follower.same_state_as, follower.fault_run, follower.reinits) == ("t", "first", run, [run])
    assert follower.after == leader.after


def test_a_sample_of_what_stands_merged_is_run_in_full() -> None:
    """One in ten, one of each kind, the same each time, and never none."""
    many = [(f"trial/{n}", "kill exec" if n % 50 else "kill rare") for n in range(400)]
    chosen = sample(many)

    assert len(many) / ONE_IN / 2 < len(chosen) < len(many) / ONE_IN * 2
    assert chosen == sample(many[::-1])
    assert {kind for name, kind in many if name in chosen} == {"kill exec", "kill rare"}
    assert sample([("one", "kill exec")]) == ["one"]
    assert sample([]) == []


def test_trials_of_one_content_go_to_one_worker() -> None:
    """Only there can one stand for the other; a worker gets no more at once than it may well do."""
    operations = [operation(n, kind) for n, kind in enumerate(("exec", "exit", "dev.write", "dev.fsync", "exit"), 1)]
    reference = builder.evidence()
    reference = reference.model_copy(
        update={"fault_run": reference.fault_run.model_copy(update={"operations": operations})}
    )
    trials = [
        trial(id=f"{n}/{k}", point=Point("mkfs", "during", n, operations[n - 1].key))
        for n in range(1, 6)
        for k in range(30)
    ]

    assert [len(unit) for unit in groups(trials)] == [30] * 5
    assert [{one.point.n for one in unit} for unit in groups(trials, {SETUP: reference})] == [{1, 2}, {3}, {4, 5}]
    assert {one.id for unit in groups(trials, {SETUP: reference}) for one in unit} == {one.id for one in trials}


def test_a_failure_of_its_own_words_is_not_its_leaders() -> None:
    """Such a trial is tried again for itself; one that fails as its leader does shares the tries of that one."""
    leader = failing(results()[0], "diverged", "C01: no", {"C01": "fail"})
    alike = replace(leader, id="alike", same_state_as=leader.id)
    silent = replace(alike, id="silent", clauses={"C01": "fail", "C15": "fail"})

    assert not own_verdict(alike, leader)
    assert own_verdict(silent, leader)
    assert HowOften().more(alike) == 0
    assert "C15" in difference(silent, leader)
    assert "converged where" in difference(alike, replace(leader, outcome="converged", clauses={}))
    assert difference(alike, leader) == ""


# On real machines

STATES = "sync; " * 4 + ": > {root}/a"


def run(
    directory: Path, script: str, *, often: HowOften | None = None, only: str = "", **about: object
) -> tuple[dict[str, TrialResult], list[object]]:
    """The results of that driver, struck at each boundary, by the ends of their ids; and all events."""
    path = directory / "driver.toml"
    path.write_text(shell_driver(script, "state"))
    strikes = [scenario.from_options({"title": "t", "name": "s", "step": "all", "restarts": 1, **about}, {})]
    events: list[object] = []
    out = directory / f"run-{len(list(directory.iterdir()))}"
    with file_listeners(out) as emit:

        def listen(event: Any) -> None:
            events.append(event)
            emit(event)

        select: Callable[[str], bool] = lambda name: only in name  # noqa: E731
        campaign.run(strikes, str(path), "qemu", out, 1, select, listen, often=often or HowOften(confirm=0))
    return {result.id.removeprefix("s/"): result for result in read(out).results}, [out, *events]


@pytest.mark.turn(2)
def test_kills_in_one_state_are_run_once(tmp_path: Path) -> None:
    """Of boundaries between two changes one is run; a sample is run in full and agrees; '--no-merge' runs all."""
    merged, told = run(tmp_path, STATES, victims=["tree"])
    full, _ = run(tmp_path, STATES, often=HowOften(confirm=0, merge=False), victims=["tree"])
    stand = {name: result.same_state_as for name, result in merged.items() if result.same_state_as}

    assert {result.outcome for result in merged.values()} == {"converged"}
    assert {name: result.clauses for name, result in merged.items()} == {
        name: result.clauses for name, result in full.items()
    }
    assert not any(result.same_state_as for result in full.values())
    assert stand
    assert "exit-driver-1/tree" not in stand
    checked = [event.result for event in told if isinstance(event, TrialConfirmed)]
    assert checked
    assert {result.same_state_as for result in checked} == {""}
    assert any(isinstance(event, Note) and "in full that stand in the state of others" in event.text for event in told)
    assert isinstance(told[-1], RunFinished)
    name, leader = next(iter(stand.items()))
    out = told[0]
    assert isinstance(out, Path)
    follower = stored(out, f"s/{name}")
    assert follower.same_state_as == leader
    assert follower.fired is not None and follower.fired != stored(out, leader).fired
    assert follower.after == stored(out, leader).after


HIDDEN = "test -e /var/hidden && exit 1; " + "sync; " * 6 + ": > /var/hidden; " + "sync; " * 6 + "rm /var/hidden"


@pytest.mark.turn(0)
def test_where_equal_states_are_not_alike_each_trial_is_run_in_full(tmp_path: Path) -> None:
    """A driver that keeps something where nobody looks: the sample shows it, the run says so and merges nothing."""
    found, told = run(tmp_path, HIDDEN, victims=["tree"])
    said = [sentence for event in told if isinstance(event, RunExtended) for sentence in event.left_out]

    assert len(said) == 1
    assert "trials in equal states are not alike here, and each was run in full" in said[0]
    assert "diverged where that one converged" in said[0] or "converged where that one diverged" in said[0]
    assert not any(result.same_state_as for result in found.values())
    assert {result.outcome for result in found.values()} == {"converged", "diverged"}


def test_errors_in_one_state_are_judged_by_their_own_words(tmp_path: Path) -> None:
    """Two errors of one call, after which the init only ends: the second stands merged, with its own message."""
    script = "sync || exit 1; : > {root}/a || exit 1; sync"
    found, told = run(tmp_path, script, fault="errno", errnos=["EIO", "ENOSPC"], only="file.create-a-1")
    out = told[0]
    assert isinstance(out, Path)
    evidence: dict[str, Evidence] = {name: stored(out, f"s/{name}") for name in found}

    assert {name.partition("/")[2] for name in found} >= {"EIO-once", "ENOSPC-once"}
    for name, one in evidence.items():
        assert one.fired is not None
        assert one.fault_run.operations[one.fired.n - 1].detail["errno"] == name.rpartition("/")[2].partition("-")[0]


@pytest.fixture
def machine(provider: Provider) -> Any:
    with provider.template() as template, template.clone() as machine:
        machine.call("mark")
        yield machine


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ("echo 0 8 zero | dmsetup create --noudevsync x", "dm"),
        ("dmsetup create x -n --noudevsync", "dm"),
        ("truncate -s 1M /f; losetup /dev/loop0 /f", "loops"),
        ("mount -t tmpfs none /mnt", "mounts"),
        ("python3 -c \"import ctypes; ctypes.CDLL(None).semget(0xd4d1234, 1, 0o1600)\"", "semaphores"),
        ("echo x > /root/r/small", "files"),
        ("chmod 600 /root/r/large", "files"),
        ("dd if=/dev/zero of=/root/r/large bs=4k count=1 seek=30 conv=notrunc", "files"),
        ("touch /run/flag", "beside"),
        ("ln -s x /dev/mapper/x", "udev"),
    ],
)  # fmt: skip
def test_each_fact_shows_its_change(machine: Machine, change: str, fact: str) -> None:
    """Two looks at one state are equal; what an init could meet afterwards makes another digest."""
    machine.run("sh", "-c", "mkdir /root/r; echo y > /root/r/small; truncate -s 200k /root/r/large").check()
    before, again = (machine.call("facts", root="/root/r") for _ in range(2))
    machine.run("sh", "-c", change).check()
    after = machine.call("facts", root="/root/r")

    assert before["digests"] == again["digests"]
    assert before["digests"][fact] != after["digests"][fact]
