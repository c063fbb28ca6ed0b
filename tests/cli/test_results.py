"""Commands on runs that are over."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit import cli
from crashinit.baseline.known import load
from crashinit.model.events import RunFinished, RunStarted
from crashinit.report import Reports
from crashinit.run.kept import Prepared

from ..contract.builder import reference
from ..report.events import failing, mixed, report, results
from ..toys import environment, planned, python


def test_report_makes_the_files_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`crashinit report DIR` prints where the page is; what the trials' outcomes were does not change its exit code."""
    report(tmp_path / "run", mixed())
    (tmp_path / "run/report.html").unlink()

    assert cli.main(["report", "run"]) == 0
    assert capsys.readouterr().out == "run/report.html\n"
    assert (tmp_path / "run/report.html").stat().st_size > 0


def test_compare_of_equal_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two equal runs end with 0."""
    report(tmp_path / "a", mixed())
    report(tmp_path / "b", mixed())

    assert cli.main(["compare", "a", "b"]) == 0
    assert capsys.readouterr().out == "30 trials are in both runs; 0 differ or are in one run only.\n"


def test_compare_of_one_driver_on_two_guests_is_by_kind_and_point(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another guest numbers its operations otherwise: that is no difference, and a failure is one by its point."""
    renamed = [replace(trial, id=trial.id.replace("/op/", "/op-2/")) for trial in results()]
    renamed[0] = failing(renamed[0], "diverged", "two loops", {"C03": "fail"})
    for place, trials in (("a", results()), ("b", renamed)):
        report(tmp_path / place, trials)
        facts = json.loads((tmp_path / place / "run.json").read_text())
        (tmp_path / place / "run.json").write_text(json.dumps({**facts, "guest": f"guest-{place}"}))

    assert cli.main(["compare", "a", "b"]) == 1
    said = capsys.readouterr().out
    assert "A = a: reference on guest-a\n" in said and "only in the" not in said
    assert said.endswith("10 points are in more than one run; 1 of them ends differently.\n")


def test_a_count_of_one_is_no_plural(capsys: pytest.CaptureFixture[str]) -> None:
    """One trial is in both runs, and one differs."""
    report(Path("a"), results()[:1])
    report(Path("b"), [failing(results()[0], "diverged", "two loops", {"C03": "fail"})])

    assert cli.main(["compare", "a", "b"]) == 1
    assert capsys.readouterr().out.endswith("\n1 trial is in both runs; 1 differs or is in one run only.\n")


def test_baseline_prints_what_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    """`crashinit baseline DIR > FILE` is a baseline of the run's failures, and `--explain FILE` says what it covers."""
    report(Path("run"), mixed())

    assert cli.main(["baseline", "run"]) == 0
    Path("known.toml").write_text(capsys.readouterr().out)
    assert [entry.clause for entry in load(Path("known.toml"))] == ["C03", "not-fired"]
    assert cli.main(["baseline", "run", "--explain", "known.toml"]) == 0
    assert "1. C03 " in (said := capsys.readouterr().out)
    assert "   why: not explained yet; seen in 1 trial, such as steps/loopback/before/op/process\n" in said
    assert said.endswith("baseline: 2 known failures of 2 kinds, 1 new, 0 places no longer fail\n")


def test_compare_of_different_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any difference ends with 1 and is printed below its trial's id."""
    other = results()
    other[3] = failing(other[3], "diverged", "two loops", {"C01": "pass", "C03": "fail"})
    report(tmp_path / "a", results())
    report(tmp_path / "b", other)

    assert cli.main(["compare", "a", "b"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [other[3].id, "    converged -> diverged: two loops"] == said[:2]
    assert "    C03 pass -> fail: two loops" in said


def test_a_terminal_that_lacks_a_character_gets_an_escape(tmp_path: Path) -> None:
    """Two drivers side by side, in ASCII: the sign for 'differs' is shown as an escape, and no line is lost."""
    other = [replace(result, driver="other") for result in mixed()]
    report(tmp_path / "a", results())
    report(tmp_path / "b", other)
    facts = json.loads((tmp_path / "b" / "run.json").read_text())
    (tmp_path / "b" / "run.json").write_text(json.dumps({**facts, "driver": "other\x1b]0;owned\a [/nope]"}))
    ended = python("crashinit.cli", "compare", "a", "b", cwd=tmp_path, PYTHONIOENCODING="ascii:strict")

    assert (ended.returncode, ended.stderr) == (1, "")
    assert "\\u2260" in ended.stdout
    assert "\\x1b]0;owned" in ended.stdout
    assert "drivers come out differently" in ended.stdout


@pytest.mark.parametrize(("command", "code"), [("judge", 3), ("report", 0), ("baseline", 0)])
def test_a_run_without_any_result_is_told_as_one_with_half_of_them(
    capsys: pytest.CaptureFixture[str], command: str, code: int
) -> None:
    """That planned trials have no result is said by each command, and is not the same as that nothing was to run."""
    Prepared([planned("a"), planned("b")], {planned("a").setup: reference()}, "tcg", []).store(Path("run"))
    with Reports(Path("run")) as emit:
        emit(RunStarted("reference", "qemu", "tcg", ["a", "b"]))
        emit(RunFinished(1.0, False))

    assert cli.main([command, "run"]) == code
    assert "2 of the 2 planned trials have no result: the run ended without them." in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error of the host's file system is one sentence with the path, and exit code 3."""
    report(tmp_path / "run", results())
    (tmp_path / "run/report.html").unlink()
    (tmp_path / "run/report.html").mkdir()

    assert cli.main(["report", "run"]) == 3
    said = capsys.readouterr().err
    assert "report.html" in said
    assert "Is a directory" in said


@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may do all, unless setpriv takes it"
)
@pytest.mark.parametrize("mode", [0o000, 0o500])
@pytest.mark.parametrize(
    "command", [["judge", "run"], ["report", "run"], ["run", "--driver", "reference", "--out", "run", "--resume"]]
)
def test_a_directory_that_may_not_be_used_is_wrong_input(command: list[str], mode: int) -> None:
    """Where a run's directory cannot be read, or not be written to, one sentence says what to do; exit code 4."""
    Prepared([planned("a")], {planned("a").setup: reference()}, "tcg", []).store(Path("run"))
    report(Path("run"), [])
    Path("run").chmod(mode)
    own = "-dac_override,-dac_read_search"
    bounded = ["setpriv", f"--bounding-set={own}", f"--inh-caps={own}"] if os.geteuid() == 0 else []
    ended = subprocess.run(
        [*bounded, sys.executable, "-m", "crashinit.cli", *command], env=environment(), capture_output=True, text=True
    )
    Path("run").chmod(0o700)

    assert ended.returncode == 4, ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "Permission denied" in ended.stderr
    assert "copy the run's directory" in ended.stderr or "give another" in ended.stderr
