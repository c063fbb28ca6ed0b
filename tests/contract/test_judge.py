"""The judge never calls a trial converged that is not known to be."""

from typing import Any

import pytest
from crashinit.contract.judge import judge, outcome, restarts, without_fault
from crashinit.contract.leftovers import PARTS
from crashinit.contract.verdict import SHOWN, Verdict
from crashinit.model.observation import Evidence, FileEntry, Mount, Observation
from crashinit.text.printable import LIMIT
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.builder import (
    EXPECTATION,
    FAMILY,
    add,
    change_pool,
    evidence,
    failed,
    operation,
    reference,
    run,
    spoil,
)


def end(spoilt: Evidence) -> tuple[str, str]:
    """The outcome and reason of a trial with this evidence."""
    return outcome(judge(spoilt, reference(), EXPECTATION, FAMILY), spoilt, FAMILY)


def test_good_evidence_converges() -> None:
    """Every clause passes, or is n/a for want of earlier data; there is no reason to give."""
    assert end(evidence()) == ("converged", "")


def test_a_fault_that_never_fired_is_no_pass() -> None:
    """Good evidence of a trial without its fault proves nothing."""
    calm = evidence().model_copy(update={"fired": None, "fault_run": run(operations=[operation()])})

    assert end(calm) == (
        "not-fired",
        "the fault never struck: after 1 operation the init ended with exit status 0 and printed nothing",
    )


def test_a_failed_clause_diverges_and_names_all() -> None:
    """The reason is the first failed clause's, with the names of the others."""
    result, reason = end(spoil(evidence(), change_pool(suspended=True), add("kernel_log", "BUG: x")))

    assert result == "diverged"
    assert reason == (
        "C04 no-leaks: dm device 'docker-254:0-1234-pool' is suspended (also failed: C13, C17)"
    )  # fmt: skip


def test_a_reason_is_short_whatever_was_left_behind() -> None:
    """Thousands of leftovers with long names are some of them, and how many more there are."""
    name, count = "x" * 200, 3000
    mounts = [Mount(source="t", target=f"/var/lib/thin/{name}{n}", fstype="tmpfs", options="rw") for n in range(count)]
    result, reason = end(spoil(evidence(), add("mounts", *mounts)))

    assert result == "diverged"
    assert reason.startswith("C04 no-leaks: ")
    assert f"; and {count - SHOWN} more" in reason
    long = name * 100
    result, reason = end(
        spoil(evidence(), add("mounts", mounts[0].model_copy(update={"target": f"/var/lib/thin/{long}"})))
    )
    assert (result, len(reason) < 2 * LIMIT) == ("diverged", True)


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
    whose=st.sampled_from(["problems", "unseen"]),
)
def test_an_observation_with_a_gap_never_converges(state: str, part: str, whose: str) -> None:
    """What could not be observed keeps the trial from converging, if any clause needs it of that state: it is a failure
    when the state is to blame, and an error when the harness is."""
    good = getattr(evidence(), state)
    problem = f"{part}: the device is suspended" if part else "the device is suspended"
    needed = {*PARTS, "kernel_log", "thin_check"} if state == "after_shutdown" else {*Observation.model_fields}
    marred = evidence().model_copy(update={state: good.model_copy(update={whose: [problem]})})

    expected = "diverged" if whose == "problems" else "error"
    assert end(marred)[0] == ("converged" if part and part not in needed else expected)


@pytest.mark.parametrize("whose", ["problems", "unseen"])
def test_what_could_not_be_observed_without_a_fault_is_never_the_drivers_failure(whose: str) -> None:
    """A gap in the reference, or in the state before the fault, says nothing of this trial."""
    used = evidence(user_data=True)
    assert used.before is not None
    assert used.after is not None
    gap = {whose: ["pool: thin_dump could not be run"]}
    blind = reference(user_data=True).model_copy(update={"after": used.after.model_copy(update=gap)})
    before = used.model_copy(update={"before": used.before.model_copy(update=gap)})

    assert outcome(judge(used, blind, EXPECTATION, FAMILY), used, FAMILY)[0] == "error"
    assert outcome(judge(before, reference(user_data=True), EXPECTATION, FAMILY), before, FAMILY)[0] == "error"


def test_a_failure_counts_more_than_what_was_not_seen() -> None:
    """A leak that was seen is the driver's, whatever else the harness missed."""
    both = spoil(evidence(), add("unseen", "pool: thin_dump is missing"), add("semaphores", 0x0D4D1234))

    assert end(both)[0] == "diverged"
    assert end(both)[1].startswith("C04")


def test_a_gap_may_concern_several_parts() -> None:
    """The names of all that could not be observed stand before the colon."""
    failures = failed(spoil(evidence(), add("problems", "pool, base: the pool is suspended")))

    assert {"C05", "C07", "C09", "C11", "C18"} == failures.keys()


def test_a_reference_is_judged_by_itself() -> None:
    """An init without a fault is fit to compare with if every clause passes over its own evidence."""
    good = evidence().model_copy(update={"fired": None})

    assert without_fault(good, EXPECTATION, FAMILY) == ("converged", "")
    assert without_fault(spoil(good, add("unseen", "the kernel's log is lost")), EXPECTATION, FAMILY)[0] == "error"
    assert without_fault(spoil(good, change_pool(suspended=True)), EXPECTATION, FAMILY)[0] == "diverged"


def test_a_reason_holds_nothing_that_a_terminal_obeys() -> None:
    """Names and messages come from a driver: control characters are shown, not sent."""
    entry = FileEntry(path="\x1b]52;c;eA==\x07.tmp", kind="file", mode=0o600, size=0)
    reason = failed(spoil(evidence(), add("files", entry)))["C04"]

    assert reason == r"temporary file '\x1b]52;c;eA==\x07.tmp' is left"


def test_evidence_of_the_first_format_is_judged_with_that_of_the_second() -> None:
    """A run that an older harness began can be gone on with: what one of both does not know is not compared."""
    old = reference()
    assert old.after is not None
    bare = [FileEntry(path=f.path, kind=f.kind, mode=f.mode, size=f.size) for f in old.after.files]
    first = old.model_copy(update={"after": old.after.model_copy(update={"files": bare, "format": 1})})

    assert outcome(judge(evidence(), first, EXPECTATION, FAMILY), evidence(), FAMILY) == ("converged", "")


def test_a_problem_fails_only_the_clauses_that_need_the_part() -> None:
    """A problem that names its part is quoted by the clauses that need it, and by those alone."""
    failures = failed(spoil(evidence(), add("problems", "pool: thin_dump ended with 1")))

    assert {"C05", "C09", "C11"} == failures.keys()
    assert failures["C05"].endswith("pool: thin_dump ended with 1")


def test_a_clause_that_was_not_judged_makes_an_error() -> None:
    """Verdicts of an older table are not enough for a pass."""
    verdicts = judge(evidence(), reference(), EXPECTATION, FAMILY)
    del verdicts["C09"]

    assert outcome(verdicts, evidence(), FAMILY) == ("error", "C09 transaction: it was not judged")


def test_a_trial_of_which_nothing_could_be_judged_is_an_error() -> None:
    """All clauses n/a is a vacuous trial."""
    nothing = dict.fromkeys(FAMILY.clauses, Verdict("n/a", "for a reason"))

    assert outcome(nothing, evidence(), FAMILY)[0] == "error"


def test_a_clause_that_cannot_apply_gives_the_stated_reason() -> None:
    """An adapter may exempt its driver from a clause, which is then n/a even if it would fail."""
    exempt = EXPECTATION.model_copy(update={"not_applicable": {"C04": "the daemon keeps its pool"}})
    spoilt = spoil(evidence(), change_pool(suspended=True))

    assert Verdict("n/a", "the daemon keeps its pool") == judge(spoilt, reference(), exempt, FAMILY)["C04"]


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

    assert judge(again, reference(), EXPECTATION, FAMILY) == judge(
        evidence(user_data=True), reference(), EXPECTATION, FAMILY
    )


def test_a_reference_without_its_state_makes_an_error() -> None:
    """There is nothing to be equivalent to."""
    blind = reference().model_copy(update={"after": None})

    assert outcome(judge(evidence(), blind, EXPECTATION, FAMILY), evidence(), FAMILY)[0] == "error"


def test_a_daemon_in_which_the_fault_never_struck_still_runs() -> None:
    """A daemon that is alive has no exit status to tell of."""
    calm = evidence().model_copy(update={"fired": None, "fault_run": run(exit=None)})

    assert end(calm)[1].startswith("the fault never struck: after 0 operations the init still runs")
