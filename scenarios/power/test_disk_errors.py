"""Disks that fail under the pool, on writing and on reading, during init and after it (dm-flakey)."""

from collections.abc import Callable

import pytest
from crashinit.adapters.driven import Driven
from crashinit.machine.protocol import Machine
from crashinit.model.observation import Run
from crashinit.model.trial import Setup

SIZES = {"data": "256M", "metadata": "16M"}
SOUND = "linear /dev/disk/{name} 0"
# dm-flakey.rst: up for 0 seconds, down for an hour; down means that writes fail, or without a feature that all does.
WRITES_FAIL = "flakey /dev/disk/{name} 0 0 3600 1 error_writes"
ALL_FAILS = "flakey /dev/disk/{name} 0 0 3600"
MAKE = """
set -e
mkdir -p /dev/disk
truncate -s $2 /var/tmp/$1
ln -sf $(losetup -f --show /var/tmp/$1) /dev/disk/$1
dmsetup create disk-$1 --table "0 $(blockdev --getsz /dev/disk/$1) linear /dev/disk/$1 0"
"""
CHANGE = """
set -e
dmsetup suspend --noflush disk-$1
dmsetup load disk-$1 --table "0 $(blockdev --getsz /dev/disk/$1) $2"
dmsetup resume disk-$1
"""

Behave = Callable[[str, str], None]


@pytest.fixture
def behave(machine: Machine) -> Behave:
    """Makes a disk ("data", "metadata") behave like a target's table from now on."""
    machine.run("modprobe", "dm-flakey").check()
    for name, size in SIZES.items():
        machine.run("sh", "-c", MAKE, "make", name, size).check()

    def change(name: str, table: str) -> None:
        machine.run("sh", "-c", CHANGE, "change", name, table.format(name=name)).check()

    return change


@pytest.fixture
def on_disks(machine: Machine, driver: Driven, behave: Behave) -> Driven:
    """The driver, led to these disks."""
    options = ("dm.datadev=/dev/mapper/disk-data", "dm.metadatadev=/dev/mapper/disk-metadata")
    return Driven(machine, driver.adapter, Setup("fresh", options, 60.0))


def recover(driver: Driven) -> Run:
    """Init on sound disks. A pool that the kernel has marked is refused with a remedy, and the remedy works."""
    run = driver.init()
    if run.exit != 0:
        assert "'thin_check --clear-needs-check-flag'" in run.stderr
        driver.shutdown()
        driver.machine.run("thin_check", "--clear-needs-check-flag", "/dev/mapper/disk-metadata").check()
        run = driver.init()
    assert run.exit == 0, run.stderr
    return run


@pytest.mark.parametrize("disk", SIZES)
@pytest.mark.parametrize("table", [WRITES_FAIL, ALL_FAILS], ids=["writes", "all"])
def test_init_on_a_failing_disk(on_disks: Driven, behave: Behave, disk: str, table: str) -> None:
    """Init on a disk that fails ends with a message; once the disk is sound, the driver recovers."""
    behave(disk, table)
    failed = on_disks.init()
    behave(disk, SOUND)
    recover(on_disks)
    base = on_disks.observe().base

    assert not failed.timed_out
    assert failed.exit == 1, failed.stderr
    assert failed.stderr.strip()
    assert base is None or base.check_exit == 0


@pytest.mark.parametrize("disk", SIZES)
def test_disk_that_cannot_be_read_at_the_next_start(on_disks: Driven, behave: Behave, disk: str) -> None:
    """A disk that cannot be read makes the next init fail with a message; it then finds all as it was."""
    first = on_disks.init()
    on_disks.shutdown()
    behave(disk, ALL_FAILS)
    failed = on_disks.init()
    behave(disk, SOUND)
    again = recover(on_disks)

    assert first.exit == 0, first.stderr
    assert failed.exit == 1, failed.stderr
    assert failed.stderr.strip()
    assert [operation.key for operation in again.operations if operation.object.startswith("mkfs")] == []


def test_metadata_that_cannot_be_written_later_on(on_disks: Driven, behave: Behave, machine: Machine) -> None:
    """When the pool's metadata cannot be written any more, the driver says so, and never that it is done."""
    assert on_disks.init().exit == 0
    behave("metadata", WRITES_FAIL)
    populate = on_disks.adapter.populate
    assert populate is not None
    argv = on_disks.adapter.command(populate.create, on_disks.setup.options, id="layer")
    failed = machine.run(*argv)
    behave("metadata", SOUND)
    recover(on_disks)

    assert failed.exit == 1
    assert failed.stderr.strip()
