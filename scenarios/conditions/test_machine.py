"""What a driver may rely on in a machine: asked through testinfra, so that it holds for every provider."""

import pytest
from testinfra.host import Host


@pytest.mark.parametrize("target", ["thin-pool", "thin", "linear"])
def test_dm_target_is_there(host: Host, target: str) -> None:
    """The kernel offers the device-mapper target."""
    offered = {line.split()[0] for line in host.check_output("dmsetup targets").splitlines()}

    assert target in offered


@pytest.mark.parametrize("package", ["dmsetup", "thin-provisioning-tools", "e2fsprogs", "xfsprogs"])
def test_package_is_installed(host: Host, package: str) -> None:
    """The tools that drivers and the probe call are installed."""
    assert host.package(package).is_installed


def test_loop_control_is_a_device(host: Host) -> None:
    """Loop devices can be asked for."""
    assert host.file("/dev/loop-control").exists
    assert host.file("/dev/loop-control").user == "root"


def test_udevd_runs(host: Host) -> None:
    """udevd serves the events of device-mapper."""
    assert len(host.process.filter(comm="systemd-udevd")) >= 1


def test_root_file_system_has_room(host: Host) -> None:
    """There is room for the sparse files to be filled."""
    free = int(host.check_output("df --output=avail -B1 /var/lib | tail -n 1"))

    assert free > 512 * 1024 * 1024
