"""How often a trial ends as it did: which trials are tried again, and what their tries come to."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit import adapters, campaign, scenario
from crashinit.contract.said import succeeded
from crashinit.events import RunFinished, RunStarted, TrialConfirmed, TrialFinished, TrialResult
from crashinit.kept import EVIDENCE, read_prepared, stored
from crashinit.machine.provider import get_provider
from crashinit.powercut.runner import PowerCutRunner
from crashinit.report import Reports, baseline, file_listeners, read
from crashinit.tries import HowOften, carried, combined, shared

from .report.events import failing, results
from .report.events import stored as kept
from .toys import shell_driver

# An init that was cut short between its two files: the next one fails, always or by chance, and then no more.
DRIVER = """
test -e {root}/done && exit
test -e {root}/begun && { echo unlucky >&2; FAILING; }
: > {root}/begun
sync
: > {root}/done
"""
ALWAYS = "exit 1"
BY_CHANCE = "grep -q '^[89a-f]' /proc/sys/kernel/random/uuid || exit 1"
CONVERGED, OTHER = results()[:2]
DIVERGED = replace(failing(CONVERGED, "diverged", "C01: no", {"C01": "fail"}), recovered=True)


class Luck:
    """Runs of that driver, killed before its first file and between the two."""

    def __init__(self, directory: Path, failing: str) -> None:
        self.out = directory / "run"
        self.driver = str(directory / "luck.toml")
        Path(self.driver).write_text(shell_driver(DRIVER.replace("FAILING", failing), "luck"))
        self.about = {"title": "t", "name": "luck", "at": ["file.create begun#1", "file.create done#1"], "restarts": 1}

    def run(self, often: HowOften, only: str = "", **fault: object) -> dict[str, TrialResult]:
        """The results by the end of their trials' ids; of another fault, and of trials with `only` in their id."""
        strikes = [scenario.from_options({**self.about, **fault}, {})]
        with file_listeners(self.out) as emit:
            campaign.run(strikes, self.driver, "qemu", self.out, 1, lambda name: only in name, emit, often=often)
        return {result.id.removeprefix("luck/before/"): result for result in read(self.out).results}


@pytest.fixture
def luck(tmp_path: Path) -> Luck:
    return Luck(tmp_path, BY_CHANCE)


@pytest.fixture
def misfortune(tmp_path: Path) -> Luck:
    return Luck(tmp_path, ALWAYS)


def test_a_failure_that_comes_by_chance_is_named_a_race(luck: Luck) -> None:
    """Of thirteen tries some diverge: the trial has diverged, and the run keeps the evidence of either end."""
    found = luck.run(HowOften(repeat=12))
    race = found["file.create-done-1/process"]
    kept = stored(luck.out, race.id), stored(luck.out, f"{race.id}/seen-converged")
    summary = json.loads((luck.out / "summary.json").read_text())

    assert race.outcome == "diverged"
    assert race.clauses["C01"] == "fail"
    assert race.race
    times, tries = map(int, race.seen.split(" of "))
    assert (0 < times < tries, tries, len(race.tries)) == (True, 13, 13)
    assert [succeeded(evidence.reinits[0]) for evidence in kept] == [False, True]
    assert (found["file.create-begun-1/process"].outcome, found["file.create-begun-1/process"].seen) == (
        "converged",
        "13 of 13",
    )
    assert (summary["trials"], summary["diverged"], summary["races"], summary["tried_again"]) == (4, 2, 2, 4)
    assert len((luck.out / "results.jsonl").read_text().splitlines()) == 4
    # What the other trial stands for shares its tries, its verdict and its evidence.
    same = found["file.create-done-1/tree"]
    assert (same.same_as, same.outcome, same.seen, same.tries) == (race.id, race.outcome, race.seen, race.tries)
    assert not succeeded(stored(luck.out, same.id).reinits[0])
    # So does what is made of it.
    assert "sometimes = true" in baseline.written([race])
    assert f"seen {race.seen}: a race" in (luck.out / "junit.xml").read_text()
    assert f"a race: {race.seen}" in (luck.out / "report.html").read_text()


def test_a_failure_that_always_comes_is_seen_each_time(misfortune: Luck) -> None:
    """A trial that diverged is tried twice more, one that converged is not; so do pytest and a resumed run."""
    found = misfortune.run(HowOften())
    wedge = found["file.create-done-1/process"]

    assert (wedge.outcome, wedge.seen, wedge.race, len(wedge.tries)) == ("diverged", "3 of 3", False, 3)
    assert (found["file.create-begun-1/process"].outcome, found["file.create-begun-1/process"].seen) == (
        "converged",
        "",
    )
    assert not list((misfortune.out / EVIDENCE).glob("*seen-*"))

    # The other face does the same in one process; and a run that is gone on with confirms what it had not.
    runner = PowerCutRunner(get_provider("qemu"), adapters.load(misfortune.driver), misfortune.out)
    prepared = read_prepared(misfortune.out)
    trials = {trial.id: trial for trial in prepared.trials}
    with runner:
        one = campaign.run_one(runner, trials[wedge.id], prepared, misfortune.out)
        once = campaign.run_one(runner, trials[wedge.id], prepared, misfortune.out, HowOften(confirm=0))
    events: list[object] = []
    campaign.run_trials(prepared, [], misfortune.driver, "qemu", misfortune.out, 1, events.append, earlier=[once])
    assert (one.seen, once.seen) == ("3 of 3", "")
    assert [event.result.seen for event in events if isinstance(event, TrialConfirmed)] == ["3 of 3"]


@pytest.mark.parametrize(
    ("fault", "only"),
    [
        ({"fault": "errno", "errnos": ["ENOSPC"]}, "ENOSPC-once"),
        ({"fault": "power-cut", "given": "ext4"}, "/none"),
    ],
)
def test_another_fault_is_tried_again_as_well(misfortune: Luck, fault: dict[str, object], only: str) -> None:
    """A failed call and a power cut leave one file without the other, each time that they are tried."""
    found = misfortune.run(HowOften(), only, **fault, at=["file.create done#1"])

    assert {result.fault for result in found.values()} == {fault["fault"]}
    failed = [result for result in found.values() if result.outcome == "diverged"]
    assert failed, found
    assert {(result.seen, result.race, len(result.tries)) for result in failed} == {("3 of 3", False, 3)}
    assert "C01" in {clause for result in failed for clause, status in result.clauses.items() if status == "fail"}


@pytest.mark.parametrize(
    ("result", "often", "more"),
    [
        (DIVERGED, HowOften(), 2),
        (DIVERGED, HowOften(confirm=0), 0),
        (DIVERGED, HowOften(confirm=1, repeat=3), 3),
        (CONVERGED, HowOften(), 0),
        (CONVERGED, HowOften(repeat=3), 3),
        (replace(DIVERGED, same_as="other"), HowOften(), 0),
        (combined([DIVERGED, DIVERGED]), HowOften(), 0),
        (failing(CONVERGED, "error", "it died", {}), HowOften(repeat=3), 0),
        (failing(CONVERGED, "not-fired", "it never came", {}), HowOften(repeat=3), 0),
    ],
)
def test_what_is_tried_again(result: TrialResult, often: HowOften, more: int) -> None:
    """What diverged, unless it was or stands merged; what converged if that is asked for; nothing else."""
    assert often.more(result) == more


def test_a_trial_that_diverged_once_has_diverged() -> None:
    """Its result is that of the first try that did, whichever that was."""
    result = combined([CONVERGED, DIVERGED, CONVERGED])

    assert (result.outcome, result.reason, result.seen, result.race) == ("diverged", "C01: no", "1 of 3", True)
    assert [one["outcome"] for one in result.tries] == ["converged", "diverged", "converged"]


def test_a_try_that_could_not_be_judged_counts_for_nothing() -> None:
    """It says nothing of the driver: it is among the tries, and neither among the n nor a race."""
    result = combined([DIVERGED, failing(CONVERGED, "error", "the machine died", {}), DIVERGED])

    assert (result.outcome, result.seen, result.race) == ("diverged", "2 of 2", False)
    assert [one["reason"] for one in result.tries] == ["C01: no", "the machine died", "C01: no"]


@pytest.mark.parametrize("change", [{"clauses": {"C03": "fail"}}, {"recovered": False}])
def test_a_driver_that_fails_in_another_way_is_a_race_too(change: dict[str, object]) -> None:
    """It diverges each time, but not in the same clauses, or it comes up only sometimes."""
    result = combined([DIVERGED, replace(DIVERGED, **change)])  # type: ignore[arg-type]

    assert (result.seen, result.race) == ("2 of 2", True)


def test_a_trial_that_another_stands_for_shares_its_tries() -> None:
    """It keeps its id, and has the verdict and the tries of the other."""
    leader = combined([CONVERGED, DIVERGED])
    result = shared(replace(OTHER, same_as=leader.id), leader)

    assert (result.id, result.victim, result.same_as) == (OTHER.id, OTHER.victim, leader.id)
    assert (result.outcome, result.seen, result.tries) == ("diverged", "1 of 2", leader.tries)


def test_tries_are_kept_by_a_judge_who_comes_to_the_same_verdict() -> None:
    """Of another verdict it is not known how often it would come."""
    old = combined([DIVERGED, CONVERGED])

    assert carried(old, DIVERGED) == old
    assert carried(old, CONVERGED) == CONVERGED


@pytest.fixture
def emit(tmp_path: Path) -> Iterator[Reports]:
    with Reports(tmp_path) as emit:
        yield emit


def test_a_result_that_was_confirmed_takes_the_place_of_the_one_before(emit: Reports, tmp_path: Path) -> None:
    """It is on the disk at once, and in the end there is one line a trial, in the order in which they first ended."""
    confirmed = combined([DIVERGED, CONVERGED, DIVERGED])
    for event in (RunStarted("d", "qemu", "tcg", []), TrialFinished(DIVERGED), TrialFinished(OTHER)):
        emit(event)
    emit(TrialConfirmed(confirmed))
    during = read(tmp_path).results
    emit(RunFinished(1.0, False))

    assert during == kept([OTHER, confirmed], tmp_path)
    assert read(tmp_path).results == kept([confirmed, OTHER], tmp_path)
