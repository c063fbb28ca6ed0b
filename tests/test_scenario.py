"""The scenario model: what a file may say, and one sentence for what it may not."""

from pathlib import Path

import pytest
from crashinit.errors import UsageError
from crashinit.scenario import from_options, load


def written(directory: Path, *lines: str) -> Path:
    path = directory / "scenario.yaml"
    path.write_text("\n".join(["title: t", *lines]) + "\n")
    return path


def test_a_power_cut_strikes_a_root_on_disks_of_its_own(tmp_path: Path) -> None:
    """The disks are ext4 unless the scenario says otherwise; other faults begin on the machine's own disk."""
    assert load(written(tmp_path, "step: mkfs", "fault: power-cut")).given == "ext4"
    assert load(written(tmp_path, "step: mkfs", "fault: power-cut", "given: xfs-populated")).given == "xfs-populated"
    assert load(written(tmp_path, "step: mkfs")).given == "fresh"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["fault: power-cut", "given: fresh"], "a power cut needs 'given: ext4'"),
        (["fault: power-cut", "victims: [tree]"], "it has no 'victims'"),
        (["fault: power-cut", "recovery: reboot"], "it has no 'recovery'"),
        (["errnos: [EIO]"], "'errnos' goes with 'fault: errno'"),
        (["fault: errno", "victims: [tree]"], "it has no 'victims'"),
        (["steps: [mkfs]"], "'steps' narrows 'step: all'"),
        (["given: block"], "'given: block' names disks, which only 'fault: power-cut' needs"),
        (["fault: power-cut", "given: btrfs"], "'given' is 'btrfs', but may only be"),
    ],
)
def test_what_does_not_go_with_a_fault_is_refused(tmp_path: Path, lines: list[str], said: str) -> None:
    """A key that would have no effect is no silent one."""
    with pytest.raises(UsageError, match=said):
        load(written(tmp_path, "step: mkfs", *lines))


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """YAML would take the last one; the sentence names both lines."""
    path = written(tmp_path, "step: pool-create", "step: mkfs")

    with pytest.raises(UsageError, match=f"{path}:3: the key 'step' stands in line 2 already"):
        load(path)


def test_what_is_no_scenario_file_is_named(tmp_path: Path) -> None:
    """A Python module goes to pytest; text that is not UTF-8 is told by its line."""
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"title: t\nstep: mkfs # gr\xfcn\n")

    with pytest.raises(UsageError, match="is run by pytest"):
        load(tmp_path / "test_x.py")
    with pytest.raises(UsageError, match=f"{latin}:2: a scenario is text in UTF-8"):
        load(latin)


def test_options_are_called_by_their_names(tmp_path: Path) -> None:
    """What is wrong with an option is not said in the words of a file."""
    about = {"title": "t", "step": "all", "steps": ["no-step"]}

    with pytest.raises(UsageError, match="'--step' is 'no-step'"):
        from_options(about, {"steps": "--step"})
    with pytest.raises(UsageError, match="'--given ext4' names disks"):
        from_options({"title": "t", "step": "all", "given": "ext4"}, {"given": "--given"})
