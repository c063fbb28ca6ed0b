"""A scenario that models a report fails where the bug is taken out of the driver on which it is shown."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ..toys import crashinit
from ..turns import part

SAMPLE = 1  # of a test run
REPORTS = Path(__file__).parents[2] / "scenarios" / "reports"


@dataclass(frozen=True)
class Shown:
    """A report on a small driver with that very bug."""

    file: Path
    driver: str
    sound: str  # the driver that it is but for the bug


def every() -> list[Shown]:
    """All reports on drivers that are another one with a bug, where the other one stays well."""
    found = []
    for file in sorted(REPORTS.glob("*.yaml")):
        expected = yaml.safe_load(file.read_text())["expect"]
        for driver in expected:
            adapter = REPORTS / "drivers" / f"{driver}.toml"
            if adapter.exists() and (sound := tomllib.loads(adapter.read_text())["extends"]) in expected:
                found.append(Shown(file, driver, sound))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "shown" in metafunc.fixturenames:
        metafunc.parametrize(
            "shown", part(metafunc.config, every(), SAMPLE), ids=lambda one: f"{one.file.stem}-{one.driver}"
        )


@pytest.mark.xdist_group("shell")
def test_without_the_bug_the_failure_is_missed(shown: Shown, tmp_path: Path) -> None:
    """What is expected of the driver with the bug, expected of the sound one, fails the run."""
    about = yaml.safe_load(shown.file.read_text())
    about["expect"] = {shown.sound: about["expect"][shown.driver]}
    scenario = tmp_path / shown.file.name
    scenario.write_text(yaml.safe_dump(about))
    done = crashinit(
        "run", str(scenario), "--driver", shown.sound, "--confirm", "0", "--out", str(tmp_path / "run")
    )  # fmt: skip

    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "not as expected:" in said
    assert "the failure that was reported does not show" in said or "no reason says" in said


def test_most_small_drivers_have_only_their_bug() -> None:
    """Without it they are a driver that comes along, and of which the same scenario expects something else."""
    without = {shown.driver for shown in every()}
    others = {adapter.stem for adapter in (REPORTS / "drivers").glob("*.toml")} - without

    assert others == {"dockerd-direct-lvm"}  # a real driver set up in another way
