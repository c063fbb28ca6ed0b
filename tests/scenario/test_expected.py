"""What a scenario expects of a driver, held against results."""

from dataclasses import replace
from typing import Any

import pytest
from crashinit.model.events import Outcome, TrialResult
from crashinit.scenario.expected import Failure, of_run, unmet
from crashinit.scenario.scenario import Scenario, find

from ..report.events import CONVERGED

REPORT = {
    "project": "moby/moby",
    "number": 1,
    "year": 2014,
    "link": "https://example.org/1",
    "symptom": "It does not start.",
    "cause": "A file is left.",
}


def ended(outcome: Outcome, *failed: str, says: str = "it is left", scenario: str = "s") -> TrialResult:
    return replace(
        CONVERGED,
        outcome=outcome,
        scenario=scenario,
        clauses=dict.fromkeys(failed, "fail"),
        clause_reasons=dict.fromkeys(failed, says),
    )


EXPECTED = Failure(fails=("C04",), may=("C13",), says="is left")


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([ended("diverged", "C04")], ""),
        ([ended("diverged", "C04", "C13"), ended("converged")], ""),
        ([ended("converged")], "no trial fails C04"),
        ([ended("diverged", "C04", "C01")], "C01 failed as well"),
        ([ended("diverged", "C04", says="it runs")], "no reason says 'is left'"),
        ([ended("diverged", "C04"), ended("not-fired")], "ended not-fired"),
        ([ended("diverged", "C04"), ended("error")], "ended error"),
        ([], "no trial was run"),
    ],
)
def test_a_failure_is_met_by_its_clauses_and_words_and_by_nothing_more(results: list[TrialResult], said: str) -> None:
    """Whatever else fails, or did not strike, is not what was reported."""
    found = unmet(EXPECTED, results)

    assert (said in found[0]) if said else (found == [])


@pytest.mark.parametrize(("outcome", "met"), [("converged", True), ("diverged", False), ("not-fired", False)])
def test_where_it_is_to_converge_every_trial_has_to(outcome: Outcome, met: bool) -> None:
    """One that did not strike is no pass either."""
    assert (unmet("converged", [ended("converged"), ended(outcome)]) == []) is met


def test_results_of_other_scenarios_are_judged_as_ever() -> None:
    """An expectation speaks of its own scenario alone."""
    other = ended("diverged", "C01", scenario="other")

    shown = ended("diverged", "C04")

    assert of_run({"s": EXPECTED}, [shown, other], [shown, other]) == ([], [other])
    assert of_run({"s": EXPECTED}, [shown, other], []) == ([], [])  # a baseline knows both
    assert of_run({"s": EXPECTED}, [other], [other])[0] == ["s: no trial was run"]


def scenario(**more: Any) -> Scenario:
    return Scenario.model_validate({"title": "t", "name": "s", "at": ["a b#1"], **more})


def test_a_scenario_with_expectations_is_for_the_drivers_that_it_names() -> None:
    """And strikes each where its own trace has the place."""
    one = scenario(expect={"d": {"fails": ["C04"]}, "reference": "converged"}, at_on={"reference": ["c d#1"]})

    assert [one.concerns(driver) for driver in ("d", "reference", "x")] == [True, True, False]
    assert (one.on("d").at, one.on("reference").at) == (("a b#1",), ("c d#1",))
    assert scenario().concerns("x")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"at_on": {"d": ["c d#1"]}}, "'at_on' names 'd', of which nothing is expected"),
        ({"expect": {"d": {"fails": []}}}, "at least 1 item"),
        ({"expect": {"d": {"fails": ["C04"], "says": "("}}}, "'says' is no regular expression"),
        ({"report": {**REPORT, "link": "ftp://x"}}, "https"),
    ],
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any], said: str) -> None:
    """Each with a word on what is wrong."""
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        scenario(**more)


def test_each_report_that_comes_along_is_complete() -> None:
    """It says where it stands, what is expected of a driver that fails, and of one that does not or that refuses."""
    from crashinit.cli.repro import SCENARIOS

    for one in find([SCENARIOS]):
        assert one.report
        assert one.name == f"reports/{one.report.name}"
        assert str(one.report.number) in one.report.link
        wrong, sound = one.expect.values()
        assert isinstance(wrong, Failure)
        if isinstance(sound, Failure):
            assert sound.says and sound.says != wrong.says
            assert sound.fails != wrong.fails or sound.fails == ("C01",)  # a refusal, in words of its own
