"""What is installed outside of a checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("driver", "harness", "scenarios", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the installed package, built from what git knows and without its dependencies."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    listed = subprocess.run(["git", "ls-files", "-z", *COPIED], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(
        ["cp", "--parents", "-t", str(source), *listed.stdout.decode().rstrip("\0").split("\0")], cwd=ROOT, check=True
    )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    return target


def python(installed: Path, where: Path, code: str) -> str:
    """What a program prints that has the installed package, and not the checkout, first on its path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *filter(None, sys.path)])}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=where, env=environment, capture_output=True, text=True, check=True
    )
    return ended.stdout


def test_the_scenarios_are_found_outside_of_a_checkout(installed: Path, tmp_path: Path) -> None:
    """`crashinit run` without a path takes the five steps that come with the package."""
    code = "from pathlib import Path; from crashinit.scenario import scenario\n"
    code += "import crashinit; print(crashinit.__path__)\n"
    code += "for found in scenario.find([Path('scenarios/steps')]): print(found.name)"
    first, *names = python(installed, tmp_path, code).splitlines()

    assert str(installed) in first
    assert names == [f"steps/{file.stem}" for file in sorted((ROOT / "scenarios" / "steps").glob("*.yaml"))]


def test_every_scenario_is_installed(installed: Path) -> None:
    """The whole tree, files in Python with it, each as it is in the checkout."""
    listed = subprocess.run(["git", "ls-files", "scenarios"], cwd=ROOT, capture_output=True, text=True, check=True)

    for name in listed.stdout.splitlines():
        assert (installed / "crashinit" / name).read_bytes() == (ROOT / name).read_bytes()
    assert not (installed / "scenarios").exists()


def test_the_adapters_are_whole_when_they_are_installed(installed: Path, tmp_path: Path) -> None:
    """Each finds the files that it puts into a machine."""
    code = (
        "from crashinit import adapters\nfor name in adapters.names(): adapters.load(name).check_files(); print(name)"
    )

    assert "reference\n" in python(installed, tmp_path, code)
