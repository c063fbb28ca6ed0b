"""What a QEMU may do on the host, whatever its guest makes of it."""

import asyncio
import os
import pwd
from pathlib import Path

import pytest
from crashinit.errors import HostError
from crashinit.machine.files import File
from crashinit.machine.protocol import Machine, Template
from crashinit.machine.qemu import qemu
from crashinit.machine.qemu.qemu import unless_left_waiting
from crashinit.machine.qemu.template import QemuMachine, QemuTemplate


def status(machine: Machine) -> dict[str, str]:
    """What the host's kernel says of a machine's process; see proc_pid_status(5)."""
    assert isinstance(machine, QemuMachine)
    lines = Path(f"/proc/{machine.pid}/status").read_text().splitlines()
    return {key: " ".join(value.split()) for key, value in (line.split(":", 1) for line in lines)}


def test_qemu_has_no_rights(clone: Machine) -> None:
    """QEMU is never root, has no capabilities, cannot get any, and runs under its system call filter."""
    found = status(clone)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        assert (found["Uid"], found["Gid"]) == (" ".join([str(nobody.pw_uid)] * 4), " ".join([str(nobody.pw_gid)] * 4))
        assert found["Groups"] == ""
    else:
        assert found["Uid"] == " ".join([str(os.getuid())] * 4)
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 0
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")


def test_machines_of_every_origin_have_no_rights(template: Template) -> None:
    """That holds after a fork, in it, after a power cut, and with a disk that was plugged in with its log."""
    disk, log = File.on_disk(), File.on_disk()
    os.ftruncate(disk.fd, 1 << 20)
    with template.clone(forkable=True) as machine, machine.fork() as fork, fork.clone() as forked:
        machine.power_cut()
        assert isinstance(forked, QemuMachine)
        node = forked.plug(disk, "plugged", log)
        forked.run("sh", "-c", f"echo written > {node}; blkdiscard -o 4096 -l 4096 {node}; sync {node}").check()
        for one in (machine, forked):
            assert one.run("echo", "on").stdout == "on\n"
            assert status(one)["Seccomp"] == "2"
            assert os.geteuid() != 0 or status(one)["Uid"].split()[0] != "0"
    assert os.pread(disk.fd, 8, 0) == b"written\n"
    assert log.used() > 0


def test_a_disk_that_was_handed_over_is_the_disk_that_was_meant(template: Template) -> None:
    """Disks whose descriptors had the same number here, one after the other, are two disks for the machine."""
    with template.clone() as machine:
        assert isinstance(machine, QemuMachine)
        nodes = []
        for word in (b"first", b"other"):
            disk = File.on_disk()
            os.pwrite(disk.fd, word.ljust(1 << 20, b"\0"), 0)
            nodes.append(machine.plug(disk, word.decode()))
            del disk

        assert [machine.run("head", "-c", "5", node).stdout for node in nodes] == ["first", "other"]


def test_qemu_knows_no_secret_of_the_environment(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process has in its environment is not handed on."""
    monkeypatch.setenv("SOME_TOKEN", "of-value")
    with template.clone() as machine:
        assert isinstance(machine, QemuMachine)
        assert b"of-value" not in Path(f"/proc/{machine.pid}/environ").read_bytes()


def test_what_machines_share_cannot_be_changed(template: Template) -> None:
    """The memory that clones begin from is sealed, and their disks below the top one are open for reading alone."""
    with template.clone(forkable=True) as machine, machine.fork() as fork, fork.clone() as one:
        assert isinstance(one, QemuMachine)
        assert isinstance(fork, QemuTemplate)
        with pytest.raises(PermissionError):
            os.pwrite(fork.frozen.memories["ram"].file.fd, b"x", 0)
        held = Path(f"/proc/{one.pid}/fd")
        for layer in fork.frozen.layers:
            inode = os.fstat(layer.file.fd).st_ino
            infos = [
                Path(f"/proc/{one.pid}/fdinfo/{link.name}") for link in held.iterdir() if link.stat().st_ino == inode
            ]
            flags = [int(info.read_text().split("flags:")[1].split()[0], 8) for info in infos]
            assert {flag & os.O_ACCMODE for flag in flags} == {os.O_RDONLY}


def test_missing_firmware(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its firmware no QEMU is started; the error says what to install."""
    monkeypatch.setattr(qemu, "FIRMWARE", "no-such-firmware")
    with pytest.raises(HostError, match=r"'no-such-firmware' is not installed: run 'apt-get install seabios'"):
        qemu.firmware.__wrapped__()


def test_a_wait_that_was_left_behind_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a wait that Ctrl-C left behind the end is not told; what else goes wrong unheard is."""
    loop = asyncio.new_event_loop()
    told: list[str] = []
    monkeypatch.setattr(loop, "default_exception_handler", lambda context: told.append(str(context["exception"])))
    loop.set_exception_handler(unless_left_waiting)
    for problem in (TimeoutError(), ValueError("heard")):
        loop.call_exception_handler({"message": "Task exception was never retrieved", "exception": problem})
    loop.close()

    assert told == ["heard"]
