"""The judge never calls a trial converged that is not known to be."""

from typing import Any

import pytest
from crashinit.contract.clauses import CLAUSES
from crashinit.contract.judge import judge, outcome, restarts
from crashinit.contract.leftovers import PARTS
from crashinit.contract.observation import Evidence, Observation
from crashinit.contract.verdict import Verdict
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.builder import EXPECTATION, add, change_pool, evidence, failed, operation, reference, run, spoil


def end(spoilt: Evidence) -> tuple[str, str]:
    """The outcome and reason of a trial with this evidence."""
    return outcome(judge(spoilt, reference(), EXPECTATION), spoilt)


def test_good_evidence_converges() -> None:
    """Every clause passes, or is n/a for want of earlier data; there is no reason to give."""
    assert end(evidence()) == ("converged", "")


def test_a_fault_that_never_fired_is_no_pass() -> None:
    """Good evidence of a trial without its fault proves nothing."""
    calm = evidence().model_copy(update={"fired": None, "fault_run": run(operations=[operation()])})

    assert end(calm) == (
        "not-fired",
        "the fault never struck: the init ended with exit status 0 and wrote nothing after 1 operations",
    )


def test_a_failed_clause_diverges_and_names_all() -> None:
    """The reason is the first failed clause's, with the names of the others."""
    result, reason = end(spoil(evidence(), change_pool(suspended=True), add("kernel_log", "BUG: x")))

    assert result == "diverged"
    assert reason == (
        "C04 no-leaks: dm device 'docker-254:0-1234-pool' is suspended (also failed: C13, C17)"
    )  # fmt: skip


@pytest.mark.parametrize("part", ["after", "after_again", "again", "exercise", "after_shutdown"])
def test_a_part_that_the_campaign_owes_makes_an_error(part: str) -> None:
    """Evidence without a part is neither a pass nor the driver's fault."""
    assert end(evidence().model_copy(update={part: None}))[0] == "error"


def test_no_reinit_makes_an_error() -> None:
    """A trial without a re-init has not been finished by the harness."""
    assert end(evidence().model_copy(update={"reinits": []}))[0] == "error"


@given(
    state=st.sampled_from(["after", "after_again", "after_shutdown"]),
    part=st.sampled_from(["", *Observation.model_fields]),
)
def test_an_observation_with_problems_never_converges(state: str, part: str) -> None:
    """Whatever part went unseen keeps the trial from converging, if any clause needs it of that state."""
    good = getattr(evidence(), state)
    problem = f"{part}: the tool is missing" if part else "the tool is missing"
    needed = {*PARTS, "kernel_log", "thin_check"} if state == "after_shutdown" else {*Observation.model_fields}
    marred = evidence().model_copy(update={state: good.model_copy(update={"problems": [problem]})})

    assert (end(marred)[0] == "converged") == (part != "" and part not in needed)


def test_a_problem_fails_only_the_clauses_that_need_the_part() -> None:
    """A problem that names its part is quoted by the clauses that need it, and by those alone."""
    failures = failed(spoil(evidence(), add("problems", "pool: thin_dump ended with 1")))

    assert {"C05", "C09", "C11"} == failures.keys()
    assert failures["C05"].endswith("pool: thin_dump ended with 1")


def test_a_clause_that_was_not_judged_makes_an_error() -> None:
    """Verdicts of an older table are not enough for a pass."""
    verdicts = judge(evidence(), reference(), EXPECTATION)
    del verdicts["C09"]

    assert outcome(verdicts, evidence()) == ("error", "C09 transaction: it was not judged")


def test_a_trial_of_which_nothing_could_be_judged_is_an_error() -> None:
    """All clauses n/a is a vacuous trial."""
    nothing = dict.fromkeys(CLAUSES, Verdict("n/a", "for a reason"))

    assert outcome(nothing, evidence())[0] == "error"


def test_a_clause_that_cannot_apply_gives_the_stated_reason() -> None:
    """An adapter may exempt its driver from a clause, which is then n/a even if it would fail."""
    exempt = EXPECTATION.model_copy(update={"not_applicable": {"C04": "the daemon keeps its pool"}})
    spoilt = spoil(evidence(), change_pool(suspended=True))

    assert Verdict("n/a", "the daemon keeps its pool") == judge(spoilt, reference(), exempt)["C04"]


@pytest.mark.parametrize("status", ["fail", "n/a"])
def test_a_verdict_other_than_pass_needs_a_reason(status: Any) -> None:
    """No failure and no exemption goes unexplained."""
    with pytest.raises(ValueError, match="needs a reason"):
        Verdict(status)


@pytest.mark.parametrize(("exits", "count"), [([0], 1), ([1, 0], 2), ([1, 1, 1], 3), ([], 0)])
def test_restarts_counts_the_inits_that_were_needed(exits: list[int], count: int) -> None:
    """Up to and with the first success, or all that were tried."""
    assert count == restarts(evidence().model_copy(update={"reinits": [run(exit=e) for e in exits]}))


def test_evidence_can_be_judged_again_offline() -> None:
    """Stored as JSON and read back, evidence leads to the same verdicts."""
    again = Evidence.model_validate_json(evidence(user_data=True).model_dump_json())

    assert judge(again, reference(), EXPECTATION) == judge(evidence(user_data=True), reference(), EXPECTATION)


def test_a_reference_without_its_state_makes_an_error() -> None:
    """There is nothing to be equivalent to."""
    blind = reference().model_copy(update={"after": None})

    assert outcome(judge(evidence(), blind, EXPECTATION), evidence())[0] == "error"


def test_a_daemon_in_which_the_fault_never_struck_still_runs() -> None:
    """A daemon that is alive has no exit status to tell of."""
    calm = evidence().model_copy(update={"fired": None, "fault_run": run(exit=None)})

    assert end(calm)[1].startswith("the fault never struck: the init still runs")
