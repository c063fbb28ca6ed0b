"""A family, an adapter and a clause that come from a package of somebody else's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from crashinit.report.results import read

HERE = Path(__file__).parents[1] / "outsider"
SCENARIO = "title: killed at each boundary\nstep: all\nvictims: [tree]\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which pip has put the package."""
    target = tmp_path_factory.mktemp("installed")
    source = tmp_path_factory.mktemp("source")
    subprocess.run(["cp", "-r", f"{HERE}/.", str(source)], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    return target


def crashinit(installed: Path, where: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    paths = os.pathsep.join([str(installed), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "crashinit.cli", *arguments],
        cwd=where,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )


def test_it_is_not_there_unless_its_package_is(tmp_path: Path) -> None:
    """The product knows nothing of it."""
    ended = crashinit(tmp_path, tmp_path, "drivers", "check", str(HERE / "ramdisk.toml"))

    assert ended.returncode == 4
    assert "there is no family 'ramdisk': known are lvm, thinpool, volume" in ended.stderr


@pytest.mark.xdist_group("trial")
def test_a_run_is_judged_by_its_clause(installed: Path, tmp_path: Path) -> None:
    """Its driver is struck at each boundary of its own steps, and each trial has a verdict of its clause."""
    (tmp_path / "all.yaml").write_text(SCENARIO)
    ended = crashinit(
        installed, tmp_path, "run", "all.yaml", "--driver", str(HERE / "ramdisk.toml"), "--out", "out", "-n", "1"
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    results = read(tmp_path / "out").results
    assert {result.step for result in results} == {"mount", "metadata-save"}
    assert {result.clauses["R01"] for result in results} == {"pass"}
    assert all("C02" not in result.clauses for result in results)


@pytest.mark.xdist_group("trial")
def test_its_clause_fails_what_breaks_it(installed: Path, tmp_path: Path) -> None:
    """A tmpfs of another size."""
    for name in ("ramdisk", "ramdisk.toml"):
        (tmp_path / name).write_text((HERE / name).read_text().replace("size=8M", "size=9M"))
    (tmp_path / "ramdisk").chmod(0o755)
    ended = crashinit(installed, tmp_path, "drivers", "check", "./ramdisk.toml")

    assert ended.returncode == 1
    assert "R01 in-memory        fail the tmpfs has the options" in ended.stdout
