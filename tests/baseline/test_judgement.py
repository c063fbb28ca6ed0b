"""Known failures: expected, and strict in both directions."""

from dataclasses import replace
from pathlib import Path

import pytest
from crashinit.baseline.judgement import Judgement, is_whole, judge, judge_directory
from crashinit.baseline.known import Known, load
from crashinit.baseline.written import written
from crashinit.campaign.tries import combined
from crashinit.model.events import RunFinished, RunStarted, TrialResult
from crashinit.report import Reports, read
from crashinit.scenario import plan

from ..report.events import failing, results, sequence
from .runs import AT, KNOWN, PUBLISHED, SAID, TRIALS, WEDGED, plan_of, run, shifted

FAILING = [WEDGED, *TRIALS[1:]]


def passes(judgement: Judgement) -> bool:
    """Whether there is nothing to see to."""
    return not judgement.new and not judgement.rotten


def test_a_known_failure_is_expected() -> None:
    """A run with no failure but the known ones passes."""
    judgement = judge(run(FAILING), [KNOWN])

    assert passes(judgement)
    assert judgement.expected == [(WEDGED, KNOWN)]
    assert judgement.sentences() == ["baseline: 1 known failure of 1 kind, 0 new, 0 places no longer fail"]


def test_a_failure_that_is_not_known_is_new() -> None:
    """It fails the run, and several of one kind at one place are one line."""
    twice = [WEDGED, failing(TRIALS[1], "diverged", SAID, {"C03": "fail"}), *TRIALS[2:]]
    judgement = judge(run(twice), [])

    assert not passes(judgement)
    assert judgement.sentences()[0] == f"new failure: {WEDGED.id}: diverged: {SAID} (and in 1 more at '{AT}')"


def test_another_driver_s_entry_explains_nothing() -> None:
    """One file may serve several drivers: each is held against its own entries, and rots by none of another's."""
    other = KNOWN.model_copy(update={"driver": "dockerd"})

    assert judge(run(FAILING), [other]).new == [WEDGED]
    assert passes(judge(run(TRIALS), [other]))
    assert passes(judge(run(FAILING), [other.model_copy(update={"driver": "reference"}), other]))


def test_a_known_failure_that_no_longer_fails_fails_the_run() -> None:
    """The baseline is strict: each place of an entry must fail, or must be taken out of it."""
    judgement = judge(run(TRIALS), [KNOWN])

    assert not passes(judgement)
    assert [(one.place, one.tried) for one in judgement.mended] == [(AT, 6)]
    assert judgement.sentences()[0].startswith(
        f"no longer fails: 6 trials at '{AT}': take '{AT}' out of the entry 'C03"
    )


def test_a_place_that_is_none_of_the_run_s_fails_a_whole_run() -> None:
    """An entry that is stale or misspelt is a sentence; of a part of a run nothing can be said."""
    wrong = KNOWN.model_copy(update={"at": {AT: frozenset(), "mkfz: exec mkfs": frozenset()}})
    whole = judge(run(FAILING), [wrong])

    assert (passes(whole), [one.place for one in whole.stale]) == (False, ["mkfz: exec mkfs"])
    assert "names nothing: no trial of the run is at 'mkfz: exec mkfs'" in whole.sentences()[0]
    assert whole.sentences()[-1].endswith(", 1 place names nothing")
    assert passes(judge(run(FAILING, narrowed=True), [wrong]))


def test_a_part_of_a_run_tells_of_the_places_that_it_tried_to_the_end() -> None:
    """With the plan beside it, a run that was cut is as strict as a whole one where nothing is left to try."""
    whole = plan_of(TRIALS)
    part = run(TRIALS[:6], planned=[trial.id for trial in TRIALS])
    less = run(TRIALS[:5], planned=[trial.id for trial in TRIALS])

    assert [one.place for one in judge(part, [KNOWN], whole).mended] == [AT]
    assert passes(judge(less, [KNOWN], whole))  # the trial that fails may be the one that is left
    assert passes(judge(part, [KNOWN]))  # without the plan nobody knows


def test_a_trial_that_could_not_be_judged_leaves_its_place_open() -> None:
    """It may be the one that fails, and itself it is never known."""
    broken = failing(TRIALS[0], "error", "the machine died", {})
    judgement = judge(run([broken, *TRIALS[1:]]), [KNOWN], plan_of(TRIALS))

    assert (judgement.new, judgement.missed) == ([broken], [])


def test_only_a_run_of_all_its_scenarios_can_miss_a_failure() -> None:
    """What was seen in an exploration does not have to come in the five steps."""
    seen = KNOWN.model_copy(update={"scenarios": ("steps/loopback", "conformance/errno")})

    assert passes(judge(run(TRIALS), [seen]))
    assert not passes(judge(run([*TRIALS, replace(TRIALS[0], id="x", scenario="conformance/errno")]), [seen]))


def test_only_a_run_under_its_guests_can_miss_a_failure() -> None:
    """What was seen under one guest is known under each, and strict only there."""
    seen = KNOWN.model_copy(update={"guests": ("debian12",)})

    assert passes(judge(run(FAILING, guest="debian13"), [seen]))
    assert passes(judge(run(TRIALS, guest="debian13"), [seen]))
    assert not passes(judge(run(TRIALS, guest="debian12"), [seen]))


def test_a_race_may_converge_as_well() -> None:
    """A failure that comes only sometimes is neither new when it comes nor mended when it does not."""
    race = KNOWN.model_copy(update={"sometimes": True})

    assert passes(judge(run(FAILING), [race]))
    assert passes(judge(run(TRIALS), [race]))


def tried(outcomes: dict[int, bool]) -> TrialResult:
    """A trial that was tried under these seeds, and fails under some."""
    return combined([replace(WEDGED if fails else TRIALS[0], seed=seed) for seed, fails in outcomes.items()])


def test_a_race_among_seeds_is_mended_when_all_of_them_converge(tmp_path: Path) -> None:
    """Its entry knows it under these, and of other seeds it says nothing."""
    path = tmp_path / "baseline.toml"
    path.write_text(written([run([tried({0: False, 1: True, 2: False})])]))
    known = load(path)

    def judged(outcomes: dict[int, bool]) -> Judgement:
        return judge(run([tried(outcomes)]), known)

    assert (known[0].seeds, known[0].sometimes) == (frozenset({0, 1, 2}), False)
    assert passes(judged({0: False, 1: True, 2: False}))
    assert passes(judged({0: False}))  # the seed that fails was not asked
    assert passes(judged({3: False, 4: False, 5: False}))
    assert passes(judge(run([TRIALS[0]]), known))  # in real time a race may converge
    assert judged({0: False, 1: False, 2: False, 3: False}).mended


@pytest.mark.parametrize("out", PUBLISHED, ids=lambda out: out.name)
def test_published_runs_pass_by_few_entries(out: Path, tmp_path: Path) -> None:
    """Hundreds of failures are few kinds; a run passes by its own baseline, and without one entry it does not."""
    stored = read(out)
    path = tmp_path / "baseline.toml"
    path.write_text(written([stored]))
    known = load(path)

    failures = sum(result.outcome != "converged" for result in stored.results)

    assert failures > 8 * len(known) if failures > 10 else len(known) <= failures
    assert len(known) < (15 if stored.driver == "containerd" else 25)
    assert passes(judge_directory(out, stored, known))
    for entry in known:
        assert judge_directory(out, stored, [one for one in known if one is not entry]).new


@pytest.mark.parametrize("out", PUBLISHED, ids=lambda out: out.name)
def test_one_more_operation_in_a_driver_moves_nothing(out: Path, tmp_path: Path) -> None:
    """Every count and every id behind it is another, and the baseline of the day before still fits."""
    stored = read(out)
    path = tmp_path / "baseline.toml"
    path.write_text(written([stored]))
    moved = shifted(stored.results)

    assert len({result.id for result in moved} - {result.id for result in stored.results}) > len(moved) / 4
    assert passes(judge(run(moved, driver=stored.driver), load(path)))
    gained = failing(moved[0], "diverged", "the driver has lost its mind", {"C12": "fail"})
    assert judge(run([gained, *moved[1:]], driver=stored.driver), load(path)).new == [gained]


def test_one_file_serves_several_drivers(tmp_path: Path) -> None:
    """Of all published runs together it explains each."""
    runs = [read(out) for out in PUBLISHED]
    path = tmp_path / "baseline.toml"
    path.write_text(written(runs))
    known = load(path)

    failing = {stored.driver for stored in runs if any(result.outcome != "converged" for result in stored.results)}

    assert len({entry.driver for entry in known}) == len(failing) >= 3
    assert all(passes(judge_directory(out, stored, known)) for out, stored in zip(PUBLISHED, runs, strict=True))


def test_the_plan_is_read_from_the_run_s_directory(tmp_path: Path) -> None:
    """A run of a part says which trials there are beside its own."""
    with Reports(tmp_path) as emit:
        for event in [*sequence(TRIALS[:6]), RunFinished(1.0, False)]:
            emit(replace(event, narrowed=True) if isinstance(event, RunStarted) else event)

    assert passes(judge_directory(tmp_path, read(tmp_path), [KNOWN]))
    plan.write(tmp_path / "plan.json", plan_of(TRIALS))
    assert judge_directory(tmp_path, read(tmp_path), [KNOWN]).mended


@pytest.mark.parametrize(
    ("narrowed", "interrupted", "whole"), [(False, False, True), (True, False, False), (False, True, False)]
)
def test_a_run_is_whole_if_it_was_not_narrowed(narrowed: bool, interrupted: bool, whole: bool) -> None:
    """'-k', '--step' and an interruption each leave a part of a run; how it says what it left out is no matter."""
    left = ["3 of the plan's 33 trials: they were not selected"]

    assert is_whole(run(TRIALS, narrowed=narrowed, interrupted=interrupted, left_out=left)) == whole


@pytest.mark.parametrize(
    ("left_out", "interrupted", "whole"),
    [
        (["steps/mkfs: 12 operations in rows of the same kind on the same object"], False, True),
        (["3 of the plan's 33 trials: they were not selected"], False, False),
        (["explore/kill: 40 boundaries in other steps than mkfs"], False, False),
        ([], True, False),
    ],
)
def test_a_run_of_an_earlier_version_is_whole_by_what_it_left_out(
    left_out: list[str], interrupted: bool, whole: bool
) -> None:
    """It does not say it as a fact, and '-k', '--step' and an interruption each leave a part of a run."""
    assert is_whole(run(results(), narrowed=None, interrupted=interrupted, left_out=left_out)) == whole


def test_entries_are_told_apart_by_what_they_are(tmp_path: Path) -> None:
    """Two equal entries of one file are two: the first explains, and the second is out of date."""
    known = [KNOWN, Known.model_validate(KNOWN.model_dump())]

    assert [one.known is known[1] for one in judge(run(FAILING), known).missed] == [True]
