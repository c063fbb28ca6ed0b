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

    assert "In 30 of them the init that followed put everything in order." in said
    assert "- C01" in said
    assert "in all 30 trials that it applies to" in said
    assert "Nothing: every clause that applies held" in said
    assert "None: after every fault the first init that followed succeeded." in said
    assert "C12" not in said  # it applied nowhere


def test_every_kind_of_failure_has_a_reason_and_a_command(tmp_path: Path) -> None:
    """Failures are grouped by the clauses that failed, each with commands that show it."""
    report(tmp_path / "run", mixed())
    said = text(tmp_path / "run")

    assert "### C03: 1 trial" in said
    assert "> C03: \\<data> is attached twice & leaks" in said
    assert f"    crashinit replay {mixed()[0].id} --run {tmp_path / 'run'}" in said
    assert "init was disturbed in 28 trials. In 27 of them" in said
    assert "### not-fired: 1 trial" in said
    assert "| steps/pool-create | 6 | 4 | 0 | 1 | 1 |" in said


def test_a_wedge_tells_how_many_restarts_it_takes(tmp_path: Path) -> None:
    """A driver that comes up at the third start, and one that never does."""
    late = replace(failing(results()[0], "diverged", "late", {"C01": "fail", "C08": "pass"}), restarts=3)
    never = replace(failing(results()[1], "diverged", "never", {"C01": "fail", "C08": "n/a"}), restarts=3)
    report(tmp_path / "run", [late, never])
    said = text(tmp_path / "run")

    assert "### Only init number 3 succeeds: 1 trial\n" in said
    assert said.index("### No init succeeds any more (3 tried): 1 trial\n") < said.index("### Only")
    assert "In 2 it failed, and in 1 of these so did every further one." in said


def test_failures_that_differ_in_numbers_only_are_one_kind(tmp_path: Path) -> None:
    """One heading, one reason and one command for all of them; every boundary with what struck it."""
    said = "temporary file '.tmp{}' is left of 8f6a2c1e-0d3b-4b7e-9a51-3c2f5e7d9b1{} at 0x{}f"
    trials = [failing(trial, "diverged", said.format(n, n, n), {"C04": "fail"}) for n, trial in enumerate(results())]
    report(tmp_path / "run", [*trials[:9], failing(results()[9], "diverged", "semaphore 1", {"C04": "fail"})])
    page = text(tmp_path / "run")

    assert "### C04: 9 trials" in page
    assert "### C04: 1 trial\n" in page
    assert page.count("crashinit replay steps/") == 2
    assert "- loopback: `loop.set-fd data#1` (process, tree)" in page


def test_what_an_error_was_is_told_by_its_name(tmp_path: Path) -> None:
    """A boundary that failed is listed with the error, and whether it lasted."""
    error = replace(
        failing(results()[0], "diverged", "it hung", {"C15": "fail"}),
        id="explore/errno/op/EIO-always",
        fault="errno",
        victim="always",
    )
    report(tmp_path / "run", [error])

    assert "(EIO always)" in text(tmp_path / "run")


def test_a_long_reason_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    """A page bears a few lines; what a program says last is often why."""
    report(tmp_path / "run", [failing(results()[0], "diverged", f"begin {'x' * 999} end", {"C01": "fail"})])
    (line,) = [line for line in text(tmp_path / "run").splitlines() if line.startswith(">")]

    assert line.startswith("> begin x")
    assert line.endswith("x end")
    assert len(line) < plain.REASON + 10


def test_a_failure_that_a_cold_boot_does_not_show_is_named(tmp_path: Path) -> None:
    """What was tried again without clones and forks is told apart."""
    report(tmp_path / "run", mixed())
    report(tmp_path / "run" / plain.CONFIRMED, [mixed()[0], results()[7]])
    said = text(tmp_path / "run")

    assert "2 of the 2 failures were tried again" in said
    assert "1 of them ended as before" in said
    assert f"- {mixed()[7].id}: not-fired, from a cold boot converged" in said
