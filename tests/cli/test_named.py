"""The drivers that scenarios name themselves."""

import shutil
from pathlib import Path

import pytest
from crashinit.adapters import load
from crashinit.cli.named import adapter_of, drivers
from crashinit.cli.repro import SCENARIOS
from crashinit.errors import UsageError
from crashinit.scenario.scenario import find, shipped

from ..toys import crashinit, shell_driver

EXPECTS = """
title: The driver is killed where its record is half done.
name: {name}
at: [file.unlink half#1]
victims: [tree]
restarts: 1
expect:
  fails: {{fails: [C01], may: [C11, C13], says: exit status 7}}
  stays: converged
"""
FAILS = "test -e {root}/half && exit 7; touch {root}/half; touch {root}/done; rm {root}/half"
STAYS = "touch {root}/half; touch {root}/done; rm {root}/half"


def test_each_driver_of_the_reports_has_an_adapter() -> None:
    """Beside the scenarios, or among those that come along; each is named once, in the order of the scenarios."""
    named = drivers(find([SCENARIOS]), [SCENARIOS])
    names = [load(driver).name for driver in named]

    assert len(set(names)) == len(names)
    assert set(names) == {driver for one in find([SCENARIOS]) for driver in one.expect}


def test_an_adapter_beside_the_scenarios_is_taken(tmp_path: Path) -> None:
    """Of a directory, of one above it and of a single file; else the name stands for one that comes along."""
    shutil.copytree(shipped() / "reports", tmp_path / "mine" / "reports")
    beside = str(tmp_path / "mine" / "reports" / "drivers" / "formats-unreadable.toml")
    file = tmp_path / "mine" / "reports" / "csi-driver-1346.yaml"

    for path in (tmp_path / "mine", tmp_path / "mine" / "reports", file):
        assert adapter_of("formats-unreadable", [path]) == beside
    assert adapter_of("dockerd", [file]) == "dockerd"


def test_a_scenario_for_any_driver_needs_one() -> None:
    """It cannot be known which was meant."""
    with pytest.raises(UsageError, match="the scenario 'steps/mkfs' is for any driver: give '--driver'"):
        drivers(find([SCENARIOS, Path("scenarios/steps/mkfs.yaml")]), [SCENARIOS])


@pytest.mark.xdist_group("shell")
@pytest.mark.turn(1)
def test_scenarios_that_name_their_drivers_run_without_one(tmp_path: Path) -> None:
    """Each on those of which it expects something; what is expected is a pass, and what is not is exit code 1. A
    selection leaves the others out."""
    (tmp_path / "s" / "drivers").mkdir(parents=True)
    for name, script in (("fails", FAILS), ("stays", STAYS)):
        (tmp_path / "s" / "drivers" / f"{name}.toml").write_text(shell_driver(script, name))
    (tmp_path / "s" / "one.yaml").write_text(EXPECTS.format(name="s/one"))
    (tmp_path / "s" / "two.yaml").write_text(
        EXPECTS.format(name="s/two").replace("stays: converged", "stays: {fails: [C01]}")
    )
    met = crashinit("run", "s", "--out", "met", "-k", "one")
    unmet = crashinit("run", "s/two.yaml", "--out", "unmet")

    assert met.returncode == 0, met.stdout + met.stderr
    assert met.stdout.count("\nas expected: 1 scenario\n") == 2
    assert {path.name for path in Path("met").iterdir()} == {"fails-debian12", "stays-debian12"}
    assert "again" not in met.stdout.partition("1 trial of driver")[2].partition("report:")[0]
    assert unmet.returncode == 1
    assert "not as expected: s/two: no trial fails C01" in unmet.stdout
