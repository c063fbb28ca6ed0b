"""The fixtures for scenarios in Python, as docs/scenarios.md shows them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)
DOCS = Path(__file__).parents[2] / "docs" / "scenarios.md"


def ended(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest over the example of the docs, in a directory of its own."""
    [example] = EXAMPLE.findall(DOCS.read_text())
    (directory / "test_reboot.py").write_text(example)
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "CRASHINIT_DRIVER"))}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_reboot.py", *arguments]
    return subprocess.run(argv, cwd=directory, capture_output=True, text=True, env=outside)


def test_the_example_of_the_docs_works(tmp_path: Path) -> None:
    """A stranger's first scenario in Python passes as it stands there."""
    run = ended(tmp_path, "--crashinit-driver=reference")

    assert run.returncode == pytest.ExitCode.OK, run.stdout + run.stderr
    assert "1 passed" in run.stdout


def test_without_a_driver_the_fixtures_say_what_is_missing(tmp_path: Path) -> None:
    """One sentence, and no traceback."""
    run = ended(tmp_path)

    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert "this test needs a driver: give '--crashinit-driver'" in run.stdout
    assert "Traceback" not in run.stdout
