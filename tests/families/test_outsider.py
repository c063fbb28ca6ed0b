"""A family, an adapter and a clause that come from a package of somebody else's."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from crashinit.report.results import read

HERE = Path(__file__).parents[1] / "outsider"
PAGE = Path(__file__).parents[2] / "docs" / "families.md"
TYPED = re.findall(r"^    ((?:pip|crashinit) .+)$", PAGE.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that has the package where a checkout has it."""
    top = tmp_path_factory.mktemp("checkout")
    shutil.copytree(HERE, top / "tests" / "outsider")
    return top


@pytest.fixture(scope="module")
def installed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which pip has put the package, as the page tells people to do."""
    target = tmp_path_factory.mktemp("installed")
    pip, *words = shlex.split(TYPED[0])
    assert (pip, words[0]) == ("pip", "install")
    options = ["--disable-pip-version-check", "--quiet", "--no-deps", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", *words, *options], cwd=checkout, check=True)
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
@pytest.mark.turn(1)
def test_the_page_s_commands_work_as_typed(installed: Path, checkout: Path) -> None:
    """Its driver is struck at each boundary of its own steps, and each trial has a verdict of its clause."""
    said = []
    for line in TYPED[1:]:
        program, *words = shlex.split(line)
        assert program == "crashinit"
        ended = crashinit(installed, checkout, *words)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        said.append(ended.stdout)

    assert "R01 in-memory        pass" in said[0]
    results = read(checkout / "reports" / "ramdisk").results
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
