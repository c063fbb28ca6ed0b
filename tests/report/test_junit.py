"""junit.xml."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from crashinit.model.events import RunFinished
from crashinit.report import Reports
from crashinit.report.files import ScenarioFiles

from .events import failing, mixed, report, results, sequence, unjudged


def suites(out: Path) -> ET.Element:
    return ET.parse(out / "junit.xml").getroot()


def case(root: ET.Element, name: str) -> ET.Element:
    found = [case for case in root.iter("testcase") if case.get("name") == name]
    assert len(found) == 1
    return found[0]


def test_a_suite_per_scenario_and_a_case_per_trial(tmp_path: Path) -> None:
    """Every scenario is a suite, every trial a case with its time, and the counts add up."""
    report(tmp_path, mixed())
    root = suites(tmp_path)

    names = [f"steps/{step}" for step in ("loopback", "pool-create", "base-create", "mkfs", "metadata-save")]
    assert names == [suite.get("name") for suite in root]
    assert [trial.id for trial in mixed()] == [case.get("name") for case in root.iter("testcase")]
    assert tuple(root.get(key) for key in ("tests", "failures", "errors", "skipped")) == ("30", "2", "1", "0")
    assert case(root, "steps/mkfs/after/op/tree").get("time") == "1.5"


def test_diverged_and_not_fired_fail_and_error_is_an_error(tmp_path: Path) -> None:
    """A harness error is never shown as the driver's failure, and what did not fire is never a pass."""
    report(tmp_path, mixed())
    root = suites(tmp_path)

    kinds = [
        (child.tag, child.get("type")) for case in root.iter("testcase") for child in case if child.tag != "system-out"
    ]
    assert kinds == [("failure", "diverged"), ("failure", "not-fired"), ("error", "error")]


def test_a_failure_says_why_and_how_to_see_it_again(tmp_path: Path) -> None:
    """The failure carries reason and clauses, markup characters included; system-out the replay command."""
    report(tmp_path, mixed())
    failed = case(suites(tmp_path), mixed()[0].id)

    failure = failed.find("failure")
    assert failure is not None
    assert failure.get("message") == "C03: <data> is attached twice & leaks"
    assert "C03 fail: C03: <data> is attached twice & leaks" in (failure.text or "")
    assert mixed()[0].replay in (failed.findtext("system-out") or "")


def test_a_trial_without_a_verdict_blames_no_clause(tmp_path: Path) -> None:
    """What did not fire or could not be judged has its reason, but no list of failed clauses."""
    report(tmp_path, unjudged())

    for trial in unjudged():
        (told,) = [child for child in case(suites(tmp_path), trial.id) if child.tag != "system-out"]
        assert trial.reason in (told.text or "")
        assert "C01 fail" not in (told.text or "")


def test_characters_that_xml_cannot_hold_are_written_out(tmp_path: Path) -> None:
    """Control characters from a console do not make the file unreadable."""
    report(tmp_path, mixed())

    error = case(suites(tmp_path), mixed()[9].id).find("error")
    assert error is not None
    assert error.get("message") == r"the machine died: \x1b[31mpanic\x00"


def test_what_would_deceive_a_reader_is_written_out(tmp_path: Path) -> None:
    """XML could hold an override of the direction of text, but a page of results that shows it says something else."""
    reason = "it said \u202edegrevnoc\u202c \x9b31m"
    report(tmp_path, [failing(results()[0], "diverged", reason, {"C01": "fail"})])
    [failure] = suites(tmp_path).iter("failure")

    shown = r"it said \u202edegrevnoc\u202c \x9b31m"
    assert failure.get("message") == shown
    assert shown in (failure.text or "")


def test_trials_that_were_not_reached_are_skipped(tmp_path: Path) -> None:
    """An interrupted run shows its remaining trials as skipped, so that it cannot pass for a complete one."""
    with Reports(tmp_path) as emit:
        for event in [*sequence(mixed())[:5], RunFinished(1.0, True)]:
            emit(event)
    root = suites(tmp_path)

    assert (root.get("tests"), root.get("skipped")) == ("30", "28")
    assert len(root.findall("testsuite[@name='not run']/testcase/skipped")) == 28


def test_a_case_names_the_file_of_its_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the working directory on, so that a page of results can link it; a scenario from elsewhere has none."""
    (tmp_path / "scenarios" / "steps").mkdir(parents=True)
    (tmp_path / "scenarios" / "steps" / "mkfs.yaml").touch()
    monkeypatch.chdir(tmp_path)
    report(tmp_path / "run", mixed())
    root = suites(tmp_path / "run")

    named = {suite.get("name"): {case.get("file") for case in suite.iter("testcase")} for suite in root}
    assert named.pop("steps/mkfs") == {"scenarios/steps/mkfs.yaml"}
    assert set().union(*named.values()) == {None}


def test_no_name_of_a_scenario_is_a_pattern(tmp_path: Path) -> None:
    """A scenario may have any name; its file is looked for under that name and no other."""
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "mkfs.yaml").touch()
    files = ScenarioFiles(tmp_path)

    assert files.relative("steps/mkfs") == "steps/mkfs.yaml"
    others = ("**/mkfs", "steps/*", "s[t]eps/mkfs", "a**b/mkfs", "../steps/no")
    assert [name for name in others if files.relative(name)] == []


def test_a_file_of_a_scenario_is_not_looked_for_everywhere(tmp_path: Path) -> None:
    """A report may be written in a home or at the root: three levels of directories, and nothing that is hidden."""
    for directory in (".git/steps", "a/b/steps", "a/b/c/other"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "mkfs.yaml").touch()
    files = ScenarioFiles(tmp_path)

    assert files.relative("steps/mkfs") == "a/b/steps/mkfs.yaml"
    assert files.relative("other/mkfs") is None
