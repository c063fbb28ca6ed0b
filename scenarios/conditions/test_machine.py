"""What a driver may rely on in a machine: asked through testinfra, so that it holds for every provider."""

import time

import pytest
from crashinit.machine.channel import EPOCH
from crashinit.trial.runner import TrialRunner
from testinfra.host import Host

CLOCK = 300  # seconds by which a machine's clock may be wrong
SEEDED = 1 << 25  # seconds: more than a year, within which the clocks of all seeds begin
KERNEL = (5, 19)  # the first with SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, which the gate needs


@pytest.mark.parametrize("target", ["thin-pool", "thin", "linear"])
def test_dm_target_is_there(host: Host, target: str) -> None:
    """The kernel offers the device-mapper target."""
    offered = {line.split()[0] for line in host.check_output("dmsetup targets").splitlines()}

    assert target in offered


@pytest.mark.parametrize("package", ["dmsetup", "thin-provisioning-tools", "e2fsprogs", "xfsprogs"])
def test_package_is_installed(host: Host, package: str) -> None:
    """The tools that drivers and the probe call are installed."""
    assert host.package(package).is_installed


@pytest.mark.parametrize("module", ["dm_thin_pool", "loop"])
def test_module_is_loaded(host: Host, module: str) -> None:
    """No driver has to load modules, which would be another start each time."""
    assert host.file(f"/sys/module/{module}").is_directory


def test_kernel_is_new_enough(host: Host) -> None:
    """The kernel is Linux, and has what the gate needs."""
    major, minor = host.check_output("uname -r").split(".")[:2]

    assert host.check_output("uname -s") == "Linux"
    assert (int(major), int(minor)) >= KERNEL


def test_control_groups_can_be_killed(host: Host) -> None:
    """Control groups are those of version 2: the gate ends a driver's tree through them."""
    assert host.file("/sys/fs/cgroup/cgroup.controllers").exists


def test_clock_is_right(host: Host, crashinit_runner: TrialRunner) -> None:
    """The clock is the host's, although the machine was frozen for who knows how long; in virtual time the seed says
    how late it is."""
    begin = time.time()
    seen = int(host.check_output("date +%s"))

    if crashinit_runner.provider.repeats:
        assert EPOCH <= seen < EPOCH + SEEDED
    else:
        assert begin - CLOCK < seen < time.time() + CLOCK


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
