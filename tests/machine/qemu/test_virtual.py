"""Machines in virtual time: what a seed determines."""

import random
import time
from collections.abc import Iterator

import pytest
from crashinit.machine.protocol import Machine, Template
from crashinit.machine.provider import get_provider
from crashinit.machine.qemu.template import QemuTemplate
from crashinit.model.observation import Run

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


def test_fork_holds_what_was_written(virtual: Template) -> None:
    """A fork takes memory for what its machine has written to memory and root disk; its clones have both disks."""
    assert isinstance(virtual, QemuTemplate)
    script = "dd if=/dev/urandom of=/root/file bs=1M count=32 status=none; sha256sum /root/file > /root/sum"
    with virtual.clone(forkable=True) as machine, machine.fork() as early:
        machine.run("sh", "-c", f"{script}; sync; echo 3 > /proc/sys/vm/drop_caches").check()
        with machine.fork() as late, late.clone(forkable=True) as one, one.fork() as again, again.clone() as two:
            assert isinstance(early, QemuTemplate)
            assert isinstance(late, QemuTemplate)
            assert early.memory() < virtual.memory() / 4
            assert early.memory() + (32 << 20) <= late.memory() < virtual.memory() / 2
            for each in (machine, one, two):
                assert each.run("sha256sum", "-c", "/root/sum").check().stdout == "/root/file: OK\n"
            two.power_cut()
            assert two.run("sha256sum", "-c", "/root/sum").check().stdout == "/root/file: OK\n"


def test_sleep_costs_nothing(virtual: Template) -> None:
    """Who sleeps for an hour has slept for an hour, and a deadline that is longer is met."""
    with virtual.clone() as machine:
        done = machine.run("sleep", "3600", timeout=4000)

    assert not done.timed_out
    assert done.seconds >= 3600


def gated(machine: Machine, script: str, deadline: float) -> Run:
    """A run under the gate, to its end."""
    argv = ["sh", "-c", script]
    state = machine.call("gate_start", argv=argv, root="/root", deadline=deadline, stop="never", env={}, timeout=600)
    return Run.model_validate(machine.call("gate_finish", gate=state["gate"]))


def test_one_that_spins_is_ended_as_one_that_waits(virtual: Template) -> None:
    """Both meet their deadline by the machine's clock; the CPU time that they used tells which is which."""
    with virtual.clone() as machine:
        spins = gated(machine, "(while :; do :; done) & wait", deadline=4.0)
        waits = gated(machine, "sleep 10000 & wait", deadline=600.0)

    assert spins.timed_out and waits.timed_out
    assert spins.busy is not None and waits.busy is not None
    assert spins.busy > 3 and waits.busy < 1
    assert 600 <= waits.seconds < 601


def test_time_goes_on(virtual: Template) -> None:
    """After a fork, a reboot and a power cut the wall clock goes on, and what a machine was used for is counted."""

    def now(machine: Machine) -> float:
        return float(machine.run("date", "+%s.%N").check().stdout)

    with virtual.clone(forkable=True) as machine:
        began, told = now(machine), machine.elapsed or 0.0
        machine.run("sleep", "1000", timeout=2000).check()
        with machine.fork() as fork, fork.clone() as later:
            assert machine.time == later.time == "virtual"
            assert 1000 <= now(later) - began < 1001
            later.power_cut()
            assert 1000 <= now(later) - began < 1001
            assert 1000 <= (later.elapsed or 0.0) - told < 1100


def test_a_seed_has_delays() -> None:
    """A gated run takes another time with another seed; with the first of all there are no delays."""
    script = "for i in 1 2 3 4 5 6 7 8; do mkdir /root/$i; done"
    took = []
    for seed in ("0", "1", "1"):
        with get_provider("qemu-virtual", seed=seed).template() as template, template.clone() as machine:
            took.append(gated(machine, script, deadline=60.0).seconds)

    assert took[0] + 0.001 < took[1] == took[2]


def test_power_cut(virtual: Template) -> None:
    """A power cut keeps what was synced and loses what was not, on a disk that is memory as on any other."""
    with virtual.clone() as machine:
        machine.put(b"synced", "/root/synced")
        machine.run("sync").check()
        machine.put(b"lost", "/tmp/lost")
        machine.power_cut()

        assert machine.get("/root/synced") == b"synced"
        assert machine.run("test", "-e", "/tmp/lost").exit == 1
