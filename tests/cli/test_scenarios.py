"""The scenarios that come along, from the command line."""

from pathlib import Path

from crashinit.scenario import scenario

from ..toys import crashinit


def test_each_shipped_scenario_is_listed_with_its_title() -> None:
    """In any directory: the path that 'run' takes there, and what is done to the driver."""
    listed = dict(line.split(maxsplit=1) for line in crashinit("scenarios").stdout.splitlines())

    assert set(listed) == {
        f"scenarios/{path.relative_to(scenario.shipped())}" for path in scenario.shipped().rglob("*.yaml")
    }
    for path, title in listed.items():
        assert [title] == [found.title for found in scenario.find([Path(path)])]


def test_a_copy_is_whole_and_takes_no_ones_place() -> None:
    """'scenarios copy DIR' gives files to change; a directory that is there stays as it is."""
    first = crashinit("scenarios", "copy", "mine")
    assert first.returncode == 0, first.stderr
    assert Path("mine/steps/mkfs.yaml").read_text() == (scenario.shipped() / "steps/mkfs.yaml").read_text()

    Path("mine/steps/mkfs.yaml").write_text("changed")
    again = crashinit("scenarios", "copy", "mine")
    assert (again.returncode, "'mine' exists already" in again.stderr) == (4, True)
    assert Path("mine/steps/mkfs.yaml").read_text() == "changed"
