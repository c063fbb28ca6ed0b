"""Machines in virtual time: what a seed determines."""

import random
import time
from collections.abc import Iterator

import pytest
from crashinit.machine.protocol import Machine, Template
from crashinit.machine.provider import get_provider

LOOK = "import time, uuid; print(time.monotonic_ns(), time.time_ns(), uuid.uuid4())"


@pytest.fixture(scope="module")
def virtual() -> Iterator[Template]:
    with get_provider("qemu-virtual", seed="7").template() as template:
        yield template


def seen(machine: Machine) -> list[str]:
    """What a machine says of its time and its random numbers, asked at moments of the host's choosing."""
    said = []
    for _ in range(4):
        said.append(machine.run("python3", "-c", LOOK).check().stdout)
        time.sleep(random.random() / 10)  # no condition is waited for: the silence is what the rule is about
    return said


def test_clones_of_one_seed_are_equal(virtual: Template) -> None:
    """Clones of one seed have the same clocks, to the nanosecond, and the same UUIDs, whatever the host does."""
    with virtual.clone() as one, virtual.clone() as two:
        assert seen(one) == seen(two)


def test_forks_of_one_seed_are_equal(virtual: Template) -> None:
    """So have forks, after a call that needed more than one of the mailbox's pages."""
    with virtual.clone(forkable=True) as machine:
        machine.put(bytes(3_000_000), "/root/file")
        assert len(machine.get("/root/file")) == 3_000_000
        with machine.fork() as fork, fork.clone() as one, fork.clone() as two:
            assert seen(one) == seen(two)


def test_sleep_costs_nothing(virtual: Template) -> None:
    """Who sleeps for an hour has slept for an hour, and a deadline that is longer is met."""
    with virtual.clone() as machine:
        done = machine.run("sleep", "3600", timeout=4000)

    assert not done.timed_out
    assert done.seconds >= 3600


def test_power_cut(virtual: Template) -> None:
    """A power cut keeps what was synced and loses what was not, on a disk that is memory as on any other."""
    with virtual.clone() as machine:
        machine.put(b"synced", "/root/synced")
        machine.run("sync").check()
        machine.put(b"lost", "/tmp/lost")
        machine.power_cut()

        assert machine.get("/root/synced") == b"synced"
        assert machine.run("test", "-e", "/tmp/lost").exit == 1
