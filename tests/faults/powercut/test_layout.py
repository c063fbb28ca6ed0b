"""Disks of a root: plugged in, mounted, and what the driver is expected to make of them."""

from typing import cast

import pytest
from crashinit.adapters import load
from crashinit.errors import MachineError, UsageError
from crashinit.families.thinpool.expectation import PoolExpectation
from crashinit.faults.powercut.disk import blank
from crashinit.faults.powercut.layout import LAYOUTS, MIB, NODES, SERIALS, plug
from crashinit.machine.protocol import Machine, Pluggable, Template


def test_disks_come_in_order(template: Template) -> None:
    """Each disk gets the node that the layouts count on, with its size; a machine takes no more than it has ports."""
    with template.clone() as machine:
        plug(machine, [blank(number * MIB) for number in (8, 16, 24)])
        sizes = (
            machine.run("sh", "-c", 'for node; do blockdev --getsize64 "$node"; done', "sizes", *NODES).check().stdout
        )

        assert sizes.split() == [str(number * MIB) for number in (8, 16, 24)]
        assert isinstance(machine, Pluggable)
        with pytest.raises(MachineError, match="a machine takes 3 disks"):
            machine.plug(blank(MIB), "one-too-many")


def test_machine_with_further_disks_is_not_forked(template: Template) -> None:
    """A fork would lack them, so it is refused."""
    with template.clone(forkable=True) as machine:
        plug(machine, [blank(MIB)])
        with pytest.raises(MachineError, match="its plugged-in disks would not come along"):
            machine.fork()


def test_provider_without_plugging() -> None:
    """Where disks cannot be plugged in, that is said with what to do."""
    with pytest.raises(UsageError, match="cut the power with '--provider qemu'"):
        plug(cast(Machine, object()), [blank(MIB)])


def test_expected_devices_are_the_disks() -> None:
    """On block devices the pool is expected to stand on the disks that the options name, by number and by size."""
    adapter, layout = load("reference"), LAYOUTS["block"]
    expected = adapter.expectation(layout.options(adapter), 60.0)
    assert isinstance(expected, PoolExpectation)

    assert (expected.backing, expected.data_device, expected.metadata_device) == ("block", "254:32", "254:48")
    assert layout.sizes(adapter)[1:] == [expected.data_size, expected.metadata_size]
    assert layout.adapted(adapter).devices.metadata == NODES[2]
    assert len(NODES) == len(SERIALS)


def test_foreign_device() -> None:
    """A device option that names no disk of a machine cannot be judged."""
    with pytest.raises(UsageError, match="'/dev/sda' is no disk of a machine"):
        load("reference").expectation(("dm.datadev=/dev/sda",), 60.0)
