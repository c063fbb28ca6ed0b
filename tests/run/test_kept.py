"""A run that is over can be judged again from its directory, without a machine."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit import cli
from crashinit.campaign.campaign import judge_again
from crashinit.campaign.result import failed, result_of
from crashinit.errors import UsageError
from crashinit.model.trial import Point, Setup, Trial
from crashinit.report import read
from crashinit.run.kept import NAME_LIMIT, Prepared, file_name, read_prepared, store, stored

from ..contract.builder import add, evidence, reference, spoil
from ..report.events import report

SETUP = Setup("fresh", (), 60.0)
POINT = Point("mkfs", "before", 3, "exec mkfs.ext4#1")
TRIAL = Trial("steps/mkfs/before/exec-mkfs.ext4-1/tree", "reference", "steps/mkfs", SETUP, POINT, "kill", "tree", 3)
LOST = Trial(
    "steps/mkfs/before/exec-mkfs.ext4-1/process", "reference", "steps/mkfs", SETUP, POINT, "kill", "process", 3
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's directory with a trial that left nothing behind, and one that the harness could not finish."""
    from crashinit.adapters import load

    Prepared([TRIAL, LOST], {SETUP: reference()}, "tcg", []).store(tmp_path)
    store(tmp_path, TRIAL.id, evidence())
    first = result_of(TRIAL, evidence(), {"init": 1.0}, reference(), load("reference"))
    report(tmp_path, [first, failed(LOST, "its worker process died")])
    return tmp_path


def test_a_plan_comes_back_with_what_it_is_judged_against(run: Path) -> None:
    """Trials, references and accelerator are read as they were stored."""
    prepared = read_prepared(run)

    assert (prepared.trials, prepared.accel) == ([TRIAL, LOST], "tcg")
    assert prepared.references == {SETUP: reference()}
    assert stored(run, TRIAL.id) == evidence()


def test_a_plan_keeps_the_scenarios_that_its_trials_come_from(tmp_path: Path) -> None:
    """Those of a part of it are those of its trials; a run without them is one of an earlier version."""
    other = replace(TRIAL, id="other", scenario="steps/other")
    said = {"steps/mkfs": {"title": "one", "step": "mkfs"}, "steps/other": {"title": "two", "step": "all"}}
    Prepared([TRIAL, other], {SETUP: reference()}, "tcg", [], scenarios=said).store(tmp_path)

    assert read_prepared(tmp_path).scenarios == said
    assert read_prepared(tmp_path).only([other]).scenarios == {"steps/other": said["steps/other"]}
    (tmp_path / "scenarios.json").unlink()
    assert read_prepared(tmp_path).scenarios == {}
    (tmp_path / "scenarios.json").write_text('["no mapping"]')
    with pytest.raises(UsageError, match=r"scenarios\.json' is damaged"):
        read_prepared(tmp_path)


def test_the_verdict_follows_the_evidence(run: Path) -> None:
    """Other evidence leads to another verdict; the harness's own error has none and stays."""
    before = read(run).results
    store(run, TRIAL.id, spoil(evidence(), add("kernel_log", "[1.0] BUG: scheduling while atomic")))
    again = judge_again(before, run)

    assert before[0].clauses["C17"] == "pass"
    assert (again[0].outcome, again[0].clauses["C17"]) == ("diverged", "fail")
    assert again[1] == before[1]


def test_the_command_replaces_the_reports(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`crashinit judge` says what came out differently, and the exit code is that of the new results."""
    store(run, TRIAL.id, spoil(evidence(), add("kernel_log", "[1.0] BUG: scheduling while atomic")))
    code = cli.main(["judge", str(run)])

    assert code == 1
    assert capsys.readouterr().out.startswith(f"{TRIAL.id}\n2 trials were judged again; 1 of them")
    assert read(run).results[0].outcome == "diverged"
    assert "diverged" in (run / "report.html").read_text()


def test_results_without_the_run_in_their_command_are_judged_the_same(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An earlier version did not write where it ran: that it is written now is no other verdict."""
    path = run / "results.jsonl"
    path.write_text(path.read_text().replace(f" --run {run}", ""))

    cli.main(["judge", str(run)])
    assert capsys.readouterr().out == "2 trials were judged again; 0 of them came out differently.\n"
    assert path.read_text().count(f' --run {run}"') == 2


def test_evidence_that_is_gone_is_named(run: Path) -> None:
    """Without its evidence a trial is not judged by guessing."""
    next((run / "evidence").glob("steps*")).unlink()

    with pytest.raises(UsageError, match=f"the evidence of '{TRIAL.id}'"):
        judge_again(read(run).results, run)


@pytest.mark.parametrize(
    ("name", "remedy"), [("reference-0", "run the scenarios again"), ("steps*", "run its trial again")]
)
def test_damage_is_told_with_what_mends_it(run: Path, name: str, remedy: str) -> None:
    """A reference belongs to no trial, so that it comes back only with the scenarios."""
    (path,) = (run / "evidence").glob(f"{name}.json.gz")
    path.write_bytes(path.read_bytes()[:-9])

    with pytest.raises(UsageError, match=f"'{path}' is damaged, or of another version: {remedy}"):
        judge_again(read(run).results, run)


OTHER = Setup("populated", ("dm.x=1",), 60.0)


def test_a_new_run_takes_the_place_of_an_old_one(run: Path) -> None:
    """References, evidence and results of the old run are gone, and what is not its own stays."""
    Prepared([TRIAL], {SETUP: reference(), OTHER: reference()}, "tcg", []).store(run)
    store(run, TRIAL.id, evidence())
    (run / "evidence" / "notes.txt").write_text("mine")
    (run / "notes.txt").write_text("mine")
    report(run / "cold", [])
    new = spoil(reference(), add("kernel_log", "[1.0] of the new driver"))
    trial = replace(TRIAL, setup=OTHER)
    Prepared([trial], {OTHER: new}, "tcg", [], driver="new").store(run)

    assert read_prepared(run).references == {OTHER: new}
    assert read_prepared(run).driver == "new"
    left = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert left == {"plan.json", "evidence/reference-0.json.gz", "evidence/notes.txt", "notes.txt"}


def test_a_scenario_may_be_named_like_a_reference(run: Path) -> None:
    """Its evidence is no reference, and a trial of such a name does not replace one."""
    for name in ("reference-1/before/x/tree", "reference-0"):
        trial = replace(TRIAL, id=name)
        Prepared([trial], {SETUP: reference()}, "tcg", []).store(run)
        store(run, name, evidence())

        assert read_prepared(run).references == {SETUP: reference()}
        assert stored(run, name) == evidence()


def test_two_references_for_one_setup_are_refused(run: Path) -> None:
    """Which of them is the run's own cannot be known, so neither is taken."""
    path = run / "evidence" / "reference-0.json.gz"
    (run / "evidence" / "reference-1.json.gz").write_bytes(path.read_bytes())

    with pytest.raises(UsageError, match="two references for one setup, 'fresh'"):
        read_prepared(run)


def test_any_id_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Long ids, and ids with characters that no file's name takes, are kept and found again, and never share a file."""
    tail = "x" * 5000
    ids = [
        "a/b",
        "a~b",
        "a=b",
        "a=2Fb",
        "a//b",
        "..",
        ".",
        "../a",
        "ä",
        "\udce9",
        "a\0b",
        tail,
        f"{tail}y",
        f"{tail}/y",
    ]

    names = [file_name(name) for name in ids]
    assert len({name.lower() for name in names}) == len(ids)
    assert max(map(len, names)) <= NAME_LIMIT + 20
    for number, name in enumerate(ids):
        store(tmp_path, name, evidence().model_copy(update={"trial": str(number)}))
    assert [stored(tmp_path, name).trial for name in ids] == [str(number) for number in range(len(ids))]
    assert file_name(TRIAL.id) == "steps~mkfs~before~exec-mkfs.ext4-1~tree"


GOOD = gzip.compress(json.dumps({"evidence": evidence().model_dump()}).encode())
DAMAGED = {
    "cut": GOOD[:200],
    "flipped": GOOD[:100] + bytes([GOOD[100] ^ 255]) + GOOD[101:],
    "no gzip": b"{}",
    "empty": b"",
    "a list": gzip.compress(b"[]"),
    "deep": gzip.compress(b"[" * 100_000),
    "no evidence": gzip.compress(b"{}"),
    "wrong types": gzip.compress(b'{"evidence": {"trial": 1}}'),
    "not UTF-8": gzip.compress(b'{"evidence": "\xff"}'),
    "a bomb": gzip.compress(bytes(1 << 20)) * 257,
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("name", ["reference-0", "steps~mkfs~before~exec-mkfs.ext4-1~tree"])
def test_damaged_evidence_is_named(run: Path, name: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever was done to it: one sentence with the file, exit code 4, and the results as they were."""
    path = run / "evidence" / f"{name}.json.gz"
    path.write_bytes(DAMAGED[kind])
    before = (run / "results.jsonl").read_bytes()

    assert cli.main(["judge", str(run)]) == 4
    said = capsys.readouterr().err
    assert str(path) in said
    assert len(said.splitlines()) == 1
    assert (run / "results.jsonl").read_bytes() == before


@pytest.mark.parametrize("setup", [None, [], ["fresh"], ["fresh", None, 60.0], "fresh"])
def test_a_reference_without_its_setup_is_named(run: Path, setup: object, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not known which trials it is for."""
    facts = {"evidence": reference().model_dump(), **({"setup": setup} if setup is not None else {})}
    (run / "evidence" / "reference-0.json.gz").write_bytes(gzip.compress(json.dumps(facts).encode()))

    assert cli.main(["judge", str(run)]) == 4
    assert "reference-0.json.gz' is damaged" in capsys.readouterr().err


def test_an_empty_plan_judges_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan is what is wrong, and not the first result that has no trial in it."""
    (run / "plan.json").write_text("[]")

    assert cli.main(["judge", str(run)]) == 4
    assert f"the plan '{run}/plan.json' holds no trial" in capsys.readouterr().err
