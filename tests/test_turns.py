"""The part of the long tests that a day has."""

import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from .turns import TURNS, of_day

ROOT = Path(__file__).parents[1]
FIRST = date(2026, 12, 30)  # a year's end is nothing special
TESTS = "import pytest\ndef test_short(): assert True\n" + "".join(
    f"@pytest.mark.turn({n})\ndef test_{n}(): assert True\n" for n in range(TURNS)
)


def test_a_few_days_have_all() -> None:
    """The parts of successive days are of equal size, differ, and together hold each once."""
    every = list(range(47))
    parts = [of_day(every, 4, FIRST + timedelta(days=n)) for n in range(12)]

    assert sorted(one for part in parts for one in part) == every
    assert {len(part) for part in parts} <= {3, 4}
    assert of_day(every, 4, FIRST + timedelta(days=12)) == parts[0]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """One short test, and one long one for each turn."""
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def passed(directory: Path, *arguments: str) -> set[str]:
    """The tests that a run of pytest passes."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "tests.turns", "-p", "no:cacheprovider", *arguments],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return set(re.findall(r"::(test_\w+) PASSED", run.stdout))


def test_a_long_test_has_its_turn_on_one_day_of_three(directory: Path) -> None:
    """A short one on each."""
    days = [passed(directory, "--day", str(FIRST + timedelta(days=n))) for n in range(TURNS)]

    assert [len(ran) for ran in days] == [2] * TURNS
    assert set.union(*days) == {"test_short", "test_0", "test_1", "test_2"}


def test_who_asks_for_a_long_test_gets_it(directory: Path) -> None:
    """By its name, or with all others."""
    names = [f"test_it.py::test_{n}" for n in range(TURNS)]

    assert len(passed(directory, "--all-turns")) == TURNS + 1
    assert len(passed(directory, "--day", str(FIRST), *names)) == TURNS
