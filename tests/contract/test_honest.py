"""Clauses C15 and C16: what an init says of itself when it is disturbed."""

from typing import Any

import pytest
from crashinit.contract.judge import judge, outcome, restarts
from crashinit.model.observation import Actor, Evidence, OperationRecord, Run

from .builder import EXPECTATION, FAMILY, evidence, reference, run


def struck(kind: str = "loop.configure", thing: str = "data", **detail: str) -> OperationRecord:
    return OperationRecord(
        n=1,
        key=f"{kind} {thing}#1",
        kind=kind,
        object=thing,
        detail={"errno": "EIO", **detail},
        pid=1,
        program="d",
        seconds=0.0,
    )


def failed_call(**ending: Any) -> Evidence:
    """Evidence of an init whose first operation returned EIO, and which ended so."""
    operation = struck()
    end = run(exit=1).model_copy(update={"operations": [operation], "stderr": "", **ending})
    return evidence().model_copy(update={"fault": "errno", "fired": operation, "fault_run": end})


def verdict(case: Evidence, clause: str = "C15") -> tuple[str, str]:
    found = judge(case, reference(), EXPECTATION, FAMILY)[clause]
    return found.status, found.reason


@pytest.mark.parametrize(
    "said",
    [
        "cannot attach a loop device: Input/output error",
        "LOOP gone (EIO)",
        "the loop device failed:\n  Input/output error",
        "the loop device failed:\nInput/output error",
        'time=1 level=error msg="[graphdriver] ensureLoopback: input/output error"',
    ],
)
def test_a_failure_that_names_step_and_cause_is_honest(said: str) -> None:
    """The cause by its text or its name, the step by a word of its objects, in any case of letters, in one message."""
    assert verdict(failed_call(stderr=said)) == ("pass", "")


@pytest.mark.parametrize(
    ("kind", "thing", "detail", "said"),
    [
        (
            "file.rename",
            "initialised",
            {"path": "/r/initialised", "from": "/r/initialised.new"},
            "mv: cannot move '/r/initialised.new' to '/r/initialised': Input/output error",
        ),
        ("file.mkdir", "/var/lib/x1", {"path": "/var/lib/x1"}, "mkdir /var/lib/x1: input/output error"),
        ("file.open", "state/.tmp*", {"path": "/r/state/.tmp17"}, "open /r/state/.tmp17: input/output error"),
        ("dev.read", "/dev/vdb", {"path": "/dev/vdb"}, "/dev/vdb: read failed (EIO)"),
        ("dm.message", "vg-tpool create_thin", {"name": "vg-tpool"}, "vg-tpool: Input/output error"),
        ("dm.status", "pool", {"name": "docker-8:1-7-pool"}, "status of docker-8:1-7-pool: Input/output error"),
        ("exec", "zap", {"path": "/sbin/zap"}, "fork/exec /sbin/zap: input/output error"),
        ("process.clone", "", {}, "cannot fork: Input/output error"),
        ("process.clone", "child", {}, "mkfs: cannot run 'mkfs.ext4': Input/output error"),
        ("process.pipe", "", {}, "pipe2: input/output error"),
        ("process.pipe", "pipe", {}, "failed to start mkfs.ext4: input/output error"),
        ("dev.open", "base", {"errno": "ENOENT", "path": "/dev/dm-1"}, "The file /dev/dm-1 does not exist."),
    ],
)
def test_what_failed_may_be_named_instead_of_its_step(kind: str, thing: str, detail: dict[str, str], said: str) -> None:
    """A file, device or program by its name or path tells an operator as much as a word of the step does."""
    operation = struck(kind, thing, **detail)
    found = failed_call(stderr=said)
    with_operation = found.fault_run.model_copy(update={"operations": [operation]})

    assert verdict(found.model_copy(update={"fired": operation, "fault_run": with_operation})) == ("pass", "")


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ({"stderr": ""}, "so nobody learns what failed"),
        ({"stderr": "the loop device failed"}, "the cause (EIO, 'Input/output error') is not named"),
        ({"stderr": "Input/output error"}, "neither 'data' nor the step (loopback) is named"),
        ({"stderr": "starting, database based on defaults\nfailed: Input/output error"}, "beside the cause neither"),
        ({"stderr": "a loop device\nfailed: Input/output error"}, "beside the cause neither"),
        ({"stderr": "failed: database: Input/output error"}, "beside the cause neither"),
        ({"stderr": "loop: feio"}, "the cause (EIO, 'Input/output error') is not named"),
        ({"stderr": "loop: EIO", "exit": -11}, "was ended by signal SIGSEGV"),
        ({"stderr": "loop: EIO", "exit": None, "timed_out": True}, "did not end in time"),
    ],
)
def test_a_failure_that_leaves_something_open_fails(ending: dict[str, Any], reason: str) -> None:
    """Silence, a message without step or cause, a death, a hang: none tells an operator what to do."""
    status, said = verdict(failed_call(**ending))

    assert status == "fail"
    assert reason in said


@pytest.mark.parametrize(
    ("fault", "end", "status"),
    [
        ("term", {"exit": -15}, "pass"),
        ("term", {"exit": -2}, "fail"),
        ("term", {"exit": 1}, "pass"),
        ("term", {"exit": 0}, "pass"),
        ("term", {"exit": -9, "timed_out": True}, "fail"),
        ("int", {"exit": -2}, "pass"),
        ("supervisor", {"exit": -9}, "pass"),
        ("child", {"exit": 1}, "fail"),
        ("child", {"exit": 1, "stderr": "the loop device failed"}, "pass"),
        ("child", {"exit": 1, "stderr": "something failed"}, "fail"),
        ("child", {"exit": -9}, "fail"),
        ("hang", {"exit": -9, "timed_out": True}, "pass"),
        ("hang", {"exit": -9, "timed_out": True, "hung": True}, "fail"),
        ("hang", {"exit": 1}, "fail"),
        ("stop", {"exit": 0}, "pass"),
        ("stop", {"exit": 1, "stderr": "the loop device failed"}, "fail"),
        ("kill", {"exit": -9}, "n/a"),
    ],
)
def test_what_an_init_owes_after_other_faults(fault: str, end: dict[str, Any], status: str) -> None:
    """It may die of the signal that it was sent, and be late where its own call never returns; a stop is no failure."""
    case = failed_call(**end).model_copy(update={"fault": fault})

    assert verdict(case)[0] == status


def test_a_success_under_an_error_is_judged_by_its_state() -> None:
    """An init that reports success owes the state, and needed no restart."""
    good = failed_call(exit=0)
    as_first = good.model_copy(update={"reinits": [good.fault_run]})

    assert verdict(as_first)[0] == "pass"
    assert restarts(as_first) == 0


def test_without_an_error_there_is_nothing_to_be_honest_about() -> None:
    """A kill is no error that a driver could report."""
    assert verdict(evidence()) == ("n/a", "no error was injected")


def both(one: Run, other: Run) -> Evidence:
    return evidence().model_copy(update={"fault": "concurrent", "earlier": [one], "fault_run": other})


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({"exit": 0}, "pass"),
        ({"exit": 1, "stderr": "another init is at work on this root"}, "pass"),
        ({"exit": 1, "stderr": "", "stdout": ""}, "fail"),
        ({"exit": -9}, "fail"),
        ({"exit": None, "timed_out": True}, "fail"),
    ],
)
def test_of_two_inits_the_second_may_refuse_but_not_be_lost(other: dict[str, Any], status: str) -> None:
    """One succeeds; the other succeeds or says why not."""
    assert verdict(both(run(exit=0), run(exit=0).model_copy(update=other)), "C16")[0] == status


def test_a_second_init_that_came_is_judged_as_one_of_two_at_once() -> None:
    """And what another owner has lost fails, whoever else came."""
    came = Actor(name="second-init", release="after", got=["second-init"])
    lost = run(exit=-9)

    assert verdict(evidence().model_copy(update={"actor": came, "earlier": [lost]}), "C16")[0] == "fail"
    other = Actor(name="other-owner", release="after", got=["x"], lost=["'x' was removed"])
    assert verdict(evidence().model_copy(update={"actor": other}), "C16") == ("fail", "'x' was removed")


REFUSED = {"exit": 1, "stderr": "the pool is busy"}


@pytest.mark.parametrize(
    ("release", "inits", "status"),
    [
        ("after", [REFUSED, {}], "pass"),
        ("after", [{}], "pass"),
        ("after", [{"exit": 1, "stderr": "", "stdout": ""}, {}], "fail"),
        ("after", [{"exit": -9, "timed_out": True, "stderr": "busy"}, {}], "fail"),
        ("after", [REFUSED, REFUSED], "fail"),
        ("before", [REFUSED, {}], "fail"),
        ("never", [REFUSED, REFUSED], "n/a"),
        ("never", [REFUSED, {}], "fail"),
        ("never", [{}], "pass"),
    ],
)
def test_while_somebody_else_holds_a_device_an_init_may_refuse(
    release: str, inits: list[dict[str, Any]], status: str
) -> None:
    """In time and with a message; once that one has gone it has to succeed."""
    held = Actor(name="holder", release=release, got=["pool"])
    case = evidence().model_copy(update={"actor": held, "reinits": [run(**end) for end in inits]})

    assert verdict(case, "C01")[0] == status


@pytest.mark.parametrize(("release", "status"), [("never", "n/a"), ("after", "fail")])
def test_who_refuses_to_the_end_owes_no_base(release: str, status: str) -> None:
    """What was never completed is not held against an init that says so; once the other one has gone it is."""
    held = Actor(name="holder", release=release, got=["pool"])
    bare = evidence().after.model_copy(update={"base": None})  # type: ignore[union-attr]
    case = evidence().model_copy(update={"actor": held, "reinits": [run(**REFUSED)] * 2, "after": bare})

    assert verdict(case, "C07")[0] == status
    assert verdict(case, "C06")[0] == ("n/a" if release == "never" else "pass")


def test_an_actor_that_got_nothing_has_not_fired() -> None:
    """Whatever came of the init."""
    idle = evidence().model_copy(update={"actor": Actor(name="holder", release="after", got=[])})

    assert outcome({}, idle, FAMILY) == ("not-fired", "the actor 'holder' got nothing of what it wanted")


def test_one_of_two_inits_succeeds() -> None:
    """Two polite refusals leave the root uninitialised."""
    refused = run(exit=1).model_copy(update={"stderr": "busy"})

    assert "neither of two inits" in verdict(both(refused, refused), "C16")[1]


@pytest.mark.parametrize("thing", [f"ab{'*' * 40}zz", "ab*c*d*e*f*g*h*zz", f"{'a*' * 30}bb"])
def test_a_search_for_a_name_ends_whatever_the_name_is(thing: str) -> None:
    """`*` in a name of the trace stands for what varies; a driver that calls a file so does not keep the judge busy."""
    operation = struck("file.create", thing)
    case = failed_call(stderr=f"Input/output error: {'abcdefgh' * 100000}").model_copy(update={"fired": operation})
    run = case.fault_run.model_copy(update={"operations": [operation]})

    assert verdict(case.model_copy(update={"fault_run": run}))[0] == "fail"


def test_what_varies_in_a_name_is_found_in_a_message() -> None:
    """A temporary file is named by its steady part."""
    operation = struck("file.create", "metadata/.tmp*")
    case = failed_call(stderr="cannot create '.tmp1a2b3c': Input/output error").model_copy(update={"fired": operation})
    run = case.fault_run.model_copy(update={"operations": [operation]})

    assert verdict(case.model_copy(update={"fault_run": run})) == ("pass", "")


def test_an_endless_message_is_read_at_both_ends() -> None:
    """The object is named where a message begins, the cause where it ends, whatever lies between."""
    middle = "\n  more" * 100000

    assert verdict(failed_call(stderr=f"the loop device failed:{middle}:\nInput/output error")) == ("pass", "")
