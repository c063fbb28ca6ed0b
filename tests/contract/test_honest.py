"""Clauses C15 and C16: what an init says of itself when it is disturbed."""

from typing import Any

import pytest
from crashinit.contract.judge import judge, restarts
from crashinit.contract.observation import Evidence, OperationRecord, Run

from .builder import EXPECTATION, evidence, reference, run


def struck(kind: str = "loop.configure", thing: str = "data") -> OperationRecord:
    return OperationRecord(
        n=1, key=f"{kind} {thing}#1", kind=kind, object=thing, detail={"errno": "EIO"}, pid=1, program="d", seconds=0.0
    )


def failed_call(**ending: Any) -> Evidence:
    """Evidence of an init whose first operation returned EIO, and which ended so."""
    operation = struck()
    end = run(exit=1).model_copy(update={"operations": [operation], "stderr": "", **ending})
    return evidence().model_copy(update={"fault": "errno", "fired": operation, "fault_run": end})


def verdict(case: Evidence, clause: str = "C15") -> tuple[str, str]:
    found = judge(case, reference(), EXPECTATION)[clause]
    return found.status, found.reason


@pytest.mark.parametrize("said", ["cannot attach a loop device: Input/output error", "LOOP gone (EIO)"])
def test_a_failure_that_names_step_and_cause_is_honest(said: str) -> None:
    """The cause by its text or its name, the step by a word of its objects, in any case of letters."""
    assert verdict(failed_call(stderr=said)) == ("pass", "")


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ({"stderr": ""}, "so nobody learns what failed"),
        ({"stderr": "the loop device failed"}, "the cause (EIO, 'Input/output error') is not named"),
        ({"stderr": "Input/output error"}, "the step (loopback) is not named"),
        ({"stderr": "loop: EIO", "exit": -11}, "was ended by signal 11"),
        ({"stderr": "loop: EIO", "exit": None, "timed_out": True}, "did not end in time"),
    ],
)
def test_a_failure_that_leaves_something_open_fails(ending: dict[str, Any], reason: str) -> None:
    """Silence, a message without step or cause, a death, a hang: none tells an operator what to do."""
    status, said = verdict(failed_call(**ending))

    assert status == "fail"
    assert reason in said


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


def test_one_of_two_inits_succeeds() -> None:
    """Two polite refusals leave the root uninitialised."""
    refused = run(exit=1).model_copy(update={"stderr": "busy"})

    assert "neither of two inits" in verdict(both(refused, refused), "C16")[1]
