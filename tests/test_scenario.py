"""The scenario model: what a file may say, and one sentence for what it may not."""

from pathlib import Path

import pytest
from crashinit.errors import UsageError
from crashinit.scenario import load


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
        (["given: block"], "'given: block' names disks, which only 'fault: power-cut' needs"),
        (["fault: power-cut", "given: btrfs"], "'given' is 'btrfs', but may only be"),
    ],
)
def test_what_does_not_go_with_a_fault_is_refused(tmp_path: Path, lines: list[str], said: str) -> None:
    """A key that would have no effect is no silent one."""
    with pytest.raises(UsageError, match=said):
        load(written(tmp_path, "step: mkfs", *lines))
