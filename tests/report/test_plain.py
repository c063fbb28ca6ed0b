"""A run in plain words."""

from dataclasses import replace
from pathlib import Path

from crashinit.report import plain

from .events import failing, mixed, report, results


def text(directory: Path) -> str:
    return plain.write(directory).read_text()


def test_a_clean_run_says_that_nothing_failed(tmp_path: Path) -> None:
    """What was run, what holds, and that nothing does not."""
    report(tmp_path / "run", results())
    said = text(tmp_path / "run")

    assert "30 trials converged, 0 did not, 0 could not be judged." in said
    assert "- C01" in said
    assert "in all 30 trials that it applies to" in said
    assert "Nothing: every clause that applies held" in said
    assert "None: after every crash the first init that followed succeeded." in said
    assert "C12" not in said  # it applied nowhere


def test_every_kind_of_failure_has_a_reason_and_a_command(tmp_path: Path) -> None:
    """Failures are grouped by the clauses that failed, each with commands that show it."""
    report(tmp_path / "run", mixed())
    said = text(tmp_path / "run")

    assert "### C03: 1 trial" in said
    assert "For example: C03: <data> is attached twice & leaks." in said
    assert f"    crashinit replay {mixed()[0].id} --run {tmp_path / 'run'}" in said
    assert "1 could not be judged" in said


def test_a_wedge_tells_how_many_restarts_it_takes(tmp_path: Path) -> None:
    """A driver that comes up at the third start, and one that never does."""
    late = replace(failing(results()[0], "diverged", "late", {"C01": "fail", "C08": "pass"}), restarts=3)
    never = replace(failing(results()[1], "diverged", "never", {"C01": "fail", "C08": "n/a"}), restarts=3)
    report(tmp_path / "run", [late, never])
    said = text(tmp_path / "run")

    assert "init succeeds after 3 restarts" in said
    assert "init succeeds not within 3 restarts" in said


def test_a_failure_that_a_cold_boot_does_not_show_is_named(tmp_path: Path) -> None:
    """What was tried again without clones and forks is told apart."""
    report(tmp_path / "run", mixed())
    report(tmp_path / "run" / plain.CONFIRMED, [mixed()[0], results()[7]])
    said = text(tmp_path / "run")

    assert "2 of the 2 failures were tried again" in said
    assert "1 of them ended as before" in said
    assert f"- {mixed()[7].id}: not-fired, from a cold boot converged" in said
