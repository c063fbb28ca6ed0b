"""Known failures: expected, and strict in both directions."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit.campaign.tries import combined
from crashinit.errors import UsageError
from crashinit.model.events import RunFinished, RunStarted, TrialResult
from crashinit.report import Reports, baseline, read
from crashinit.report.baseline import Known

from .events import failing, mixed, results, sequence

WEDGED = failing(results()[0], "diverged", "C03: two loops", {"C03": "fail"})


def passes(judgement: baseline.Judgement) -> bool:
    """Whether there is nothing to see to."""
    return not judgement.new and not judgement.rotten


def test_a_known_failure_is_expected() -> None:
    """A run with no failure but the known ones passes."""
    judgement = baseline.judge([WEDGED, *results()[1:]], [Known(id=WEDGED.id, reason="moby 1")])

    assert passes(judgement)
    assert judgement.expected == [WEDGED]


def test_a_failure_that_is_not_known_is_new() -> None:
    """Another trial's entry excuses nothing."""
    judgement = baseline.judge([WEDGED], [Known(id="steps/mkfs/*", reason="moby 1")])

    assert not passes(judgement)
    assert judgement.sentences()[0] == f"new failure: {WEDGED.id}: diverged: C03: two loops"


def test_a_known_failure_that_no_longer_fails_fails_the_run() -> None:
    """The baseline is strict: each trial that a pattern names must fail, or the entry must go."""
    other = replace(results()[0], id="steps/loopback/before/op2/process")
    judgement = baseline.judge([WEDGED, other], [Known(id="steps/loopback/before/*", reason="moby 1")])

    assert not passes(judgement)
    assert judgement.mended[0][0] == other
    assert judgement.sentences()[0].startswith(f"no longer fails: {other.id}: take 'steps/loopback/before/*'")


def test_a_known_failure_that_got_worse_is_new() -> None:
    """Where an entry names clauses, the failure of another one is not excused."""
    known = [Known(id=WEDGED.id, reason="moby 1", clauses=frozenset({"C03"}))]
    worse = replace(WEDGED, clauses={"C03": "fail", "C12": "fail"})

    assert passes(baseline.judge([WEDGED], known))
    assert baseline.judge([worse], known).new == [worse]


def test_a_race_may_converge_as_well() -> None:
    """A failure that comes only sometimes is neither new when it comes nor mended when it does not."""
    known = [Known(id=WEDGED.id, reason="a race with udev", sometimes=True)]

    assert passes(baseline.judge([WEDGED], known))
    assert passes(baseline.judge([results()[0]], known))


def tried(outcomes: dict[int, bool]) -> TrialResult:
    """A trial that was tried under these seeds, and fails under some."""
    return combined([replace(WEDGED if fails else results()[0], seed=seed) for seed, fails in outcomes.items()])


def test_a_race_among_seeds_names_those_that_were_asked(tmp_path: Path) -> None:
    """Its entry knows it under these; it is mended when all of them converge, and of other seeds says nothing."""
    race = tried({0: False, 1: True, 2: False})
    path = tmp_path / "baseline.toml"
    path.write_text(baseline.written([race]))
    known = baseline.load(path)

    assert "seeds = [0, 1, 2]  # fails under 1 of 3 seeds (1), not under 0, 2\n" in path.read_text()
    assert "sometimes = true  #" not in path.read_text()
    assert (known[0].seeds, known[0].sometimes) == (frozenset({0, 1, 2}), False)
    assert passes(baseline.judge([race], known))
    assert passes(baseline.judge([tried({0: False})], known))  # the seed that fails was not asked
    assert passes(baseline.judge([tried({3: False, 4: False, 5: False})], known))
    assert passes(baseline.judge([results()[0]], known))  # in real time a race may converge
    assert baseline.judge([tried({0: False, 1: False, 2: False, 3: False})], known).mended


def test_what_fails_under_every_seed_has_no_need_of_them() -> None:
    """It is no race, and an entry without seeds is strict."""
    assert "seeds = [" not in baseline.written([tried({0: True, 1: True})])


def test_an_error_of_the_harness_is_never_known() -> None:
    """A trial that was not judged says nothing of the driver, whatever the baseline holds."""
    broken = failing(results()[0], "error", "the machine died", {})

    assert baseline.judge([broken], [Known(id="*", reason="flaky")]).new == [broken]


def test_a_run_s_failures_make_its_first_baseline(tmp_path: Path) -> None:
    """What is written can be read, knows every failure, and survives quotes and control characters."""
    trials = [replace(trial, reason=trial.reason + ' "quoted" \\ \t') for trial in mixed()]
    path = tmp_path / "baseline.toml"
    path.write_text(baseline.written(trials))
    judgement = baseline.judge(trials, baseline.load(path))

    assert {result.outcome for result in judgement.new} == {"error"}
    assert len(judgement.expected) == 2
    assert judgement.mended == []


def test_a_baseline_does_not_depend_on_the_order_in_which_trials_ended() -> None:
    """Entries stand by id, below a comment that says what the file is and what its keys mean."""
    text = baseline.written(mixed())
    ids = [line for line in text.splitlines() if line.startswith("id = ")]

    assert text == baseline.written(mixed()[::-1])
    assert ids == sorted(ids)
    comment = text.partition("\n\n[[known]]")[0]
    assert all(line.startswith("#") for line in comment.splitlines())
    for word in ("--baseline", "'clauses'", "'sometimes = true'", "'seeds'"):
        assert word in comment


def test_a_clean_run_has_a_baseline_too(tmp_path: Path) -> None:
    """Its baseline holds nothing, and can be read."""
    path = tmp_path / "baseline.toml"
    path.write_text(baseline.written(results()))

    assert baseline.load(path) == ()


def test_an_entry_that_names_no_trial_fails_a_whole_run() -> None:
    """A stale or misspelt entry is a sentence, and the run does not pass; of a part of a run nothing can be said."""
    known = [Known(id=WEDGED.id, reason="moby 1"), Known(id="steps/mkfz/*", reason="moby 2", sometimes=True)]
    whole = baseline.judge([WEDGED], known, whole=True)

    assert (passes(whole), whole.rotten, whole.stale) == (False, True, known[1:])
    assert whole.sentences() == [
        "names nothing: 'steps/mkfz/*' (moby 2) matches no trial of the run: correct it, or take it out of the "
        "baseline",
        "baseline: 1 known failure, 0 new, 0 no longer fail, 1 entry names nothing",
    ]
    assert passes(baseline.judge([WEDGED], known))


@pytest.mark.parametrize(
    ("narrowed", "interrupted", "whole"), [(False, False, True), (True, False, False), (False, True, False)]
)
def test_a_run_is_whole_if_it_was_not_narrowed(tmp_path: Path, narrowed: bool, interrupted: bool, whole: bool) -> None:
    """'-k', '--step' and an interruption each leave a part of a run; how it says what it left out is no matter."""
    start, *events = sequence(results(), ["3 of the plan's 33 trials: they were not selected"])
    assert isinstance(start, RunStarted)
    with Reports(tmp_path) as emit:
        for event in [replace(start, narrowed=narrowed), *events, RunFinished(1.0, interrupted)]:
            emit(event)

    assert baseline.is_whole(read(tmp_path)) == whole


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
    tmp_path: Path, left_out: list[str], interrupted: bool, whole: bool
) -> None:
    """It does not say it as a fact, and '-k', '--step' and an interruption each leave a part of a run."""
    with Reports(tmp_path) as emit:
        for event in [*sequence(results(), left_out), RunFinished(1.0, interrupted)]:
            emit(event)

    assert baseline.is_whole(replace(read(tmp_path), narrowed=None)) == whole


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("[[known]", "is not valid TOML"),
        ('[[known]]\nid = "a"\n', "', entry 1: the key 'reason' is missing."),
        (
            '[[known]]\nid = "a"\nreason = "b"\nsince = "c"\n',
            "', entry 1: unknown key 'since': known keys are id, reason, clauses, sometimes, seeds.",
        ),
        ('[[known]]\nid = "a"\nreason = ""\n', "', entry 1: 'reason' is '', but must be a text of at least 1 "),
        ('[[known]]\nid = "a"\nreason = true\n', "', entry 1: 'reason' is true, but must be a text in quotes."),
        ("known = 3", "': 'known' is 3, but must be a list in brackets."),
        ("known = " + "9" * 5000, "is not valid TOML: a number in it has more than 4,300 digits."),
    ],
)
def test_a_wrong_baseline_is_one_sentence(tmp_path: Path, text: str | None, said: str) -> None:
    """A file that is missing, no TOML, or lacks a reason is a usage error that names file and place."""
    path = tmp_path / "baseline.toml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(UsageError) as caught:
        baseline.load(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_every_character_of_a_reason_comes_back(tmp_path: Path) -> None:
    """A baseline that is written can be read: characters beyond U+FFFF, control characters, parts of bytes."""
    said = 'tag \U000e0001, escape \x1b, quote " and \\, byte \udce9'
    path = tmp_path / "baseline.toml"
    path.write_text(baseline.written([failing(results()[0], "diverged", said, {"C03": "fail"})]))

    assert [entry.reason for entry in baseline.load(path)] == [said.replace("\udce9", "\\udce9")]


def test_a_clause_that_there_is_not_is_refused(tmp_path: Path) -> None:
    """An entry that knows the failure of C99 would never explain anything."""
    path = tmp_path / "baseline.toml"
    path.write_text('[[known]]\nid = "a"\nreason = "r"\nclauses = ["C01", "C99"]\n')

    with pytest.raises(UsageError, match="', entry 1: 'clauses': 'C99' is no clause: they are C01, C02"):
        baseline.load(path)


def test_a_baseline_is_bounded(tmp_path: Path) -> None:
    """A fifo is not waited for, and brackets without end are one sentence."""
    os.mkfifo(tmp_path / "fifo")
    deep = tmp_path / "deep.toml"
    deep.write_text("known = " + "[" * 5000)

    with pytest.raises(UsageError, match="the baseline must be a regular file"):
        baseline.load(tmp_path / "fifo")
    with pytest.raises(UsageError, match="its brackets are nested too deeply"):
        baseline.load(deep)
