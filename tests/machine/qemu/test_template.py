"""Clones, forks, power cuts and reboots of real machines."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crashinit.errors import GuestError, MachineError
from crashinit.machine.files import File
from crashinit.machine.protocol import Machine, Template
from crashinit.machine.qemu.template import QemuMachine, QemuTemplate


def test_run(clone: Machine) -> None:
    """A command runs as root in a kernel of the machine's own, with its input, environment, output and exit status."""
    done = clone.run("sh", "-c", 'cat; id -u; echo "$WORD" >&2; exit 3', input=b"in\n", env={"WORD": "err"})

    assert (done.exit, done.stdout, done.stderr, done.timed_out) == (3, "in\n0\n", "err\n", False)
    assert os.uname().release != clone.run("uname", "-r").stdout.strip()


def test_run_timeout(clone: Machine) -> None:
    """A command that does not end in its time is ended, and the machine stays usable."""
    assert clone.run("sleep", "1000", timeout=1).timed_out
    assert clone.run("echo", "on").stdout == "on\n"


def test_check(clone: Machine) -> None:
    """`check` turns a failed command into an error with its words."""
    with pytest.raises(GuestError, match=r"'sh -c echo no >&2; exit 4' ended with 4 in the machine: no"):
        clone.run("sh", "-c", "echo no >&2; exit 4").check()


def test_put_get(clone: Machine, tmp_path: Path) -> None:
    """Files go in and out byte for byte, larger ones than any buffer on the way included, with their mode."""
    data = os.urandom(3_000_000)
    source = tmp_path / "source"
    source.write_bytes(data)
    clone.put(source, "/root/deep/in/file", 0o750)

    assert data == clone.get("/root/deep/in/file")
    assert clone.run("stat", "-c", "%a", "/root/deep/in/file").stdout == "750\n"


def test_get_missing(clone: Machine) -> None:
    """What the agent cannot do is a GuestError, and the machine stays usable."""
    with pytest.raises(GuestError, match="/no/such"):
        clone.get("/no/such")

    assert clone.run("true").exit == 0


def test_device_mapper(clone: Machine) -> None:
    """A machine has what storage drivers need: thin-pool, loop, udev that makes nodes."""
    script = """
        set -e
        truncate -s 8M /var/tmp/data; truncate -s 2M /var/tmp/meta
        data=$(losetup -f --show /var/tmp/data); meta=$(losetup -f --show /var/tmp/meta)
        dmsetup create pool --table "0 16384 thin-pool $meta $data 128 0"
        test -b /dev/mapper/pool
        dmsetup table pool | cut -d' ' -f3
        dmsetup remove pool; losetup -d $data $meta
    """
    assert clone.run("sh", "-c", script).check().stdout == "thin-pool\n"


def test_clones_are_independent(template: Template) -> None:
    """What one clone does to memory and disk, no other sees, running or later."""
    with template.clone() as one, template.clone() as two:
        one.run("sh", "-c", "echo one > /tmp/memory; echo one > /root/disk; sync").check()

        assert two.run("cat", "/tmp/memory", "/root/disk").stderr.count("No such file") == 2
    with template.clone() as three:
        assert three.run("cat", "/tmp/memory", "/root/disk").stderr.count("No such file") == 2


def test_randomness_differs(template: Template) -> None:
    """Clones of one template do not share random numbers: their file systems get UUIDs of their own."""
    uuids = []
    for _ in range(2):
        with template.clone() as machine:
            uuids.append(machine.get("/proc/sys/kernel/random/uuid"))

    assert uuids[0] != uuids[1]


def test_fork(template: Template) -> None:
    """A fork holds memory, processes and disk of its moment; the machine goes on and changes none of it."""
    with template.clone(forkable=True) as machine:
        machine.run("sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $! > /tmp/pid").check()
        machine.run("sh", "-c", "echo then > /tmp/memory; echo then > /root/disk").check()
        with machine.fork() as fork:
            machine.run("sh", "-c", "kill $(cat /tmp/pid); echo later > /tmp/memory; echo later > /root/disk").check()
            with fork.clone() as one:
                one.run("sh", "-c", "kill -0 $(cat /tmp/pid)").check()
                assert one.run("cat", "/tmp/memory", "/root/disk").stdout == "then\nthen\n"
                one.run("sh", "-c", "echo mine > /tmp/memory; echo mine > /root/disk; sync").check()
            with fork.clone() as two:
                assert two.run("cat", "/tmp/memory", "/root/disk").stdout == "then\nthen\n"
        assert machine.run("cat", "/tmp/memory", "/root/disk").stdout == "later\nlater\n"


def test_fork_of_a_fork(template: Template) -> None:
    """A fork can be forked again, and outlives all that it came from."""
    with template.clone(forkable=True) as machine:
        machine.put(b"1", "/root/first")
        first = machine.fork()
    with first, first.clone(forkable=True) as machine:
        machine.put(b"2", "/root/second")
        second = machine.fork()
    with second, second.clone() as machine:
        assert machine.run("cat", "/root/first", "/root/second").stdout == "12"


def test_fork_holds_what_was_written(template: Template) -> None:
    """A fork takes memory for what its machine has written since it was cloned, and none for what it shares."""
    assert isinstance(template, QemuTemplate)
    with template.clone(forkable=True) as machine, machine.fork() as early:
        assert isinstance(early, QemuTemplate)
        machine.run("dd", "if=/dev/urandom", "of=/dev/shm/some", "bs=1M", "count=32").check()
        with machine.fork() as late:
            assert isinstance(late, QemuTemplate)
            assert early.memory() < template.memory() / 2
            assert early.memory() + (32 << 20) <= late.memory() < template.memory()


def test_fork_of_a_fork_holds_all_that_was_written(template: Template) -> None:
    """A fork of a fork's clone depends on none but the template: it holds what the first one holds as well."""
    fill = "dd if=/dev/urandom of=/dev/shm/{0} bs=1M count=8 status=none; sha256sum /dev/shm/{0} >> /root/sums"
    with template.clone(forkable=True) as machine:
        machine.run("sh", "-c", fill.format("first")).check()
        first = machine.fork()
    with first.clone(forkable=True) as machine:
        first.close()
        machine.run("sh", "-c", fill.format("second")).check()
        second = machine.fork()
    with second, second.clone() as machine:
        assert (
            machine.run("sha256sum", "-c", "/root/sums").check().stdout == "/dev/shm/first: OK\n/dev/shm/second: OK\n"
        )


WRITER = """
i=0
while :; do
    i=$((i + 1))
    dd if=/dev/urandom of=/root/load/$i bs=64K count=5 conv=fsync status=none
    sha256sum /root/load/$i >> /root/load/sums && sync /root/load/sums
done
"""


@pytest.mark.turn(0)
def test_fork_under_write_load(template: Template) -> None:
    """What was on the disk when a machine was forked is on its clone's, though it was being written, and stays there
    when the clone's power is cut; the machine's own disk has all of it as well.
    """
    with template.clone(forkable=True) as machine:
        machine.put(WRITER.encode(), "/root/load/writer", 0o755)
        machine.run("sh", "-c", "setsid sh /root/load/writer >/dev/null 2>&1 & echo $! > /root/load/pid").check()
        while machine.run("test", "-s", "/root/load/sums").exit != 0:
            pass
        forks = [machine.fork(), machine.fork()]
        for fork in forks:
            with fork, fork.clone() as one:
                intact(one)
                one.power_cut()
                intact(one)
        intact(machine)


def intact(machine: Machine) -> None:
    """The writer's files are on the disk as they were written."""
    machine.run("sh", "-c", "kill $(cat /root/load/pid) 2>/dev/null; sync; echo 3 > /proc/sys/vm/drop_caches")
    machine.run("sh", "-c", "head -n $(wc -l < /root/load/sums) /root/load/sums | sha256sum -c --quiet").check()


def test_disk_of_a_forks_clone(template: Template) -> None:
    """A clone of a fork takes a disk that is plugged in, and starts again after its power was cut."""
    disk = File.on_disk()
    os.truncate(disk.fd, 1 << 20)
    with template.clone(forkable=True) as machine, machine.fork() as fork, fork.clone() as one:
        assert isinstance(one, QemuMachine)
        node = one.plug(disk, "plugged")
        one.run("sh", "-c", f"echo written > {node}; sync {node}").check()
        one.power_cut()
        assert one.run("head", "-c", "8", node).stdout == "written\n"


WITHOUT_THE_RIGHT = """
from crashinit.machine.provider import get_provider

with get_provider("qemu").template() as template, template.clone(forkable=True) as machine:
    machine.put(b"then", "/root/file")
    with machine.fork() as fork:
        machine.put(b"later", "/root/file")
        with fork.clone(forkable=True) as one, one.fork() as again, again.clone() as two:
            print(one.get("/root/file"), two.get("/root/file"), machine.get("/root/file"))
            print(again.memory() > fork.memory() / 2 > 32 << 20)
"""


def test_forks_where_memory_of_others_cannot_be_read(template: Template) -> None:
    """Root that lacks CAP_SYS_PTRACE, as in a container, gets forks that are copies of all memory."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be without the right")
    said = subprocess.run(
        ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", sys.executable, "-c", WITHOUT_THE_RIGHT],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "b'then' b'then' b'later'\nTrue\n"


def test_fork_needs_forkable(clone: Machine) -> None:
    """A machine that shares its template's memory says that it cannot be forked."""
    with pytest.raises(MachineError, match="cloned without 'forkable'"):
        clone.fork()


def test_derive(template: Template) -> None:
    """A derived template holds what was prepared; the one it came from does not."""

    def prepare(machine: Machine) -> None:
        machine.put(b"ready", "/root/prepared")

    with template.derive(prepare) as derived, derived.clone() as machine:
        assert machine.get("/root/prepared") == b"ready"
    with template.clone() as machine:
        assert machine.run("test", "-e", "/root/prepared").exit == 1


def test_derive_that_fails(template: Template) -> None:
    """An error while preparing is the caller's to see, and the machine is ended."""
    seen: list[Machine] = []

    def prepare(machine: Machine) -> None:
        seen.append(machine)
        machine.run("false").check()

    with pytest.raises(GuestError, match="'false' ended with 1"):
        template.derive(prepare)
    with pytest.raises(MachineError, match="closed"):
        seen[0].run("true")


def test_power_cut(template: Template) -> None:
    """A power cut keeps what was synced, loses what was not, and all memory; the machine is usable again, forks too."""
    with template.clone(forkable=True) as machine:
        machine.put(b"synced", "/root/synced")
        machine.run("sync").check()
        before = machine.get("/proc/sys/kernel/random/boot_id")
        machine.run("sh", "-c", "echo lost > /root/unsynced; echo lost > /tmp/memory").check()
        machine.power_cut()

        assert before != machine.get("/proc/sys/kernel/random/boot_id")
        assert machine.get("/root/synced") == b"synced"
        assert machine.run("ls", "/root/unsynced", "/tmp/memory").stderr.count("No such file") == 2
        with machine.fork() as fork, fork.clone() as resumed:
            assert resumed.get("/root/synced") == b"synced"


def test_reboot(clone: Machine) -> None:
    """A reboot keeps what was written, synced or not, and loses memory."""
    clone.run("sh", "-c", "echo kept > /root/unsynced; echo lost > /tmp/memory").check()
    clone.reboot()

    assert clone.get("/root/unsynced") == b"kept\n"
    assert clone.run("test", "-e", "/tmp/memory").exit == 1


def test_killed_qemu(template: Template) -> None:
    """A machine whose QEMU was killed gives one MachineError that says so, and can be closed."""
    with template.clone() as machine:
        assert isinstance(machine, QemuMachine)
        os.kill(machine.pid, signal.SIGKILL)
        with pytest.raises(MachineError, match="the machine is gone: QEMU was ended by signal 9"):
            machine.run("true")


def test_dead_guest(clone: Machine) -> None:
    """A machine whose kernel panics gives a MachineError with what its console said last."""
    with pytest.raises(MachineError, match="did not answer 'run'"):
        clone.call("run", argv=["sh", "-c", "echo c > /proc/sysrq-trigger"], timeout=0.1)
    while "end Kernel panic" not in clone.console():
        time.sleep(0.05)

    with pytest.raises(MachineError, match=r"did not answer 'mark': its kernel panicked, sysrq triggered crash"):
        clone.call("mark", timeout=0.1)


def test_silent_agent(clone: Machine) -> None:
    """A call that is not answered in time is a MachineError; its late answer is not taken for the next one."""
    assert isinstance(clone, QemuMachine)
    clone._qemu.command("stop")  # nothing in it moves, so nothing can answer
    with pytest.raises(MachineError, match=r"did not answer 'get' within 0.1 s: QEMU is running"):
        clone.call("get", path="/proc/version", timeout=0.1)
    clone._qemu.command("cont")

    assert clone.run("echo", "next").stdout == "next\n"


def test_closed(template: Template) -> None:
    """Closing twice does nothing; a closed machine says that it is closed."""
    machine = template.clone()
    machine.close()
    machine.close()
    with pytest.raises(MachineError, match="closed"):
        machine.run("true")
    with pytest.raises(MachineError, match="closed"):
        machine.console()
