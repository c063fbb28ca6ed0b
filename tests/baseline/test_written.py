"""A first baseline, as it is written from runs."""

import itertools
from dataclasses import replace
from pathlib import Path

from crashinit.baseline.explained import explained
from crashinit.baseline.judgement import judge
from crashinit.baseline.known import Known, load
from crashinit.baseline.written import written

from ..report.events import failing, mixed, results
from .runs import AT, KNOWN, SAID, TRIALS, WEDGED, run
from .test_judgement import tried


def loaded(text: str, directory: Path) -> tuple[Known, ...]:
    path = directory / "baseline.toml"
    path.write_text(text)
    return load(path)


def test_a_run_s_failures_make_its_first_baseline(tmp_path: Path) -> None:
    """What is written can be read, knows every failure, and survives quotes and characters that no file can hold."""
    said = 'tag \U000e0001, escape \x1b, quote " and \\, byte \udce9'
    trials = [failing(result, result.outcome, result.reason + said, result.clauses) for result in mixed()]  # type: ignore[arg-type]
    trials = [result if result.outcome != "converged" else replace(result, reason="") for result in trials]
    judgement = judge(run(trials), loaded(written([run(trials)]), tmp_path))

    assert {result.outcome for result in judgement.new} == {"error"}
    assert len(judgement.expected) == 2
    assert not judgement.missed


def test_a_baseline_does_not_depend_on_the_order_in_which_trials_ended() -> None:
    """It stands below a comment that says what the file is and what its keys mean."""
    text = written([run(mixed())])

    assert text == written([run(mixed()[::-1])])
    comment = text.partition("\n\n[[known]]")[0]
    assert all(line.startswith("#") for line in comment.splitlines())
    for key in Known.model_fields.keys() - {"driver"}:
        assert f"'{key}" in comment or f".{key}'" in comment


def test_a_clean_run_has_a_baseline_too(tmp_path: Path) -> None:
    """Its baseline holds nothing, and can be read."""
    assert loaded(written([run(results())]), tmp_path) == ()


def test_failures_of_one_kind_are_one_entry(tmp_path: Path) -> None:
    """It names each of its places once, with the clauses that fail there as well."""
    places = [0, 1, 6, 12]
    trials = list(TRIALS)
    for number, where in enumerate(places):
        trials[where] = failing(
            trials[where], "diverged", SAID.replace("7", str(number)), {"C03": "fail", "C13": "fail"}
        )
    (entry,) = loaded(written([run(trials)]), tmp_path)

    assert (entry.driver, entry.clause, entry.words) == ("reference", "C03", KNOWN.words)
    assert entry.at == {f"{step}: loop.set-fd data": {"C13"} for step in ("base-create", "loopback", "pool-create")}
    assert entry.scenarios == ("steps/base-create", "steps/loopback", "steps/pool-create")
    assert "4 trials, such as steps/base-create/before/op/process" in entry.reason


def test_a_race_is_an_entry_of_its_own(tmp_path: Path) -> None:
    """A place at which every failure converged in some of its tries; one that fails each time makes it strict."""
    race = replace(tried({0: True, 1: False}), seed=None)
    race = replace(race, tries=[{**one} for one in race.tries])
    for one in race.tries:
        one.pop("seed", None)
    steady = failing(TRIALS[6], "diverged", SAID, {"C03": "fail"})
    known = loaded(written([run([race, steady])]), tmp_path)
    strict = loaded(written([run([race, failing(TRIALS[1], "diverged", SAID, {"C03": "fail"})])]), tmp_path)

    assert sorted((entry.sometimes, *entry.at) for entry in known) == [
        (False, "pool-create: loop.set-fd data"),
        (True, AT),
    ]
    assert [entry.sometimes for entry in strict] == [False]


def test_what_fails_under_every_seed_has_no_need_of_them() -> None:
    """It is no race, and an entry without seeds is strict."""
    assert "seeds = [" not in written([run([tried({0: True, 1: True})])])
    assert "seeds = [0, 1]  # fails under 1 of 2 seeds (1), not under 0\n" in written(
        [run([tried({0: False, 1: True})])]
    )


def test_guests_stand_by_where_each_failure_was_seen(tmp_path: Path) -> None:
    """What fails under both guests is one entry, what fails under one of them another."""
    only = failing(TRIALS[6], "diverged", SAID, {"C03": "fail"})
    runs = [run([WEDGED, only], guest="debian12"), run([WEDGED, TRIALS[6]], guest="debian13")]
    known = loaded(written(runs), tmp_path)

    assert sorted((entry.guests, *entry.at) for entry in known) == [
        (("debian12",), "pool-create: loop.set-fd data"),
        (("debian12", "debian13"), AT),
    ]
    assert not any(judge(one, known).missed or judge(one, known).new for one in runs)


def test_a_baseline_is_explained() -> None:
    """Of each entry its reason, what it covers at which place, and the command that shows it; then what is else."""
    gone = KNOWN.model_copy(update={"reason": "mended long ago", "at": {"pool-create: loop.set-fd data": frozenset()}})
    known = [KNOWN, gone.model_copy(update={"sometimes": True}), gone]
    trials = [WEDGED, *TRIALS[1:]]
    lines = list(explained(known, judge(run(trials), known)))

    assert lines[:5] == [
        "1. C03 loops-unique: temporary file 'metadata/.tmpN' is left".replace("loops-unique", _name("C03")),
        "   why: moby 1",
        "   covers 1 trial of this run",
        f"   - {AT}: 1 trial",
        f"   again: crashinit replay {WEDGED.id}",
    ]
    assert "   covers 0 trials of this run; a race: it may converge as well" in lines
    assert "   - pool-create: loop.set-fd data: no longer fails" in lines
    assert lines[-1] == "baseline: 1 known failure of 1 kind, 0 new, 1 place no longer fails"
    assert all(first != second for first, second in itertools.pairwise(lines))


def _name(clause: str) -> str:
    from crashinit import families

    return families.clauses()[clause].name
