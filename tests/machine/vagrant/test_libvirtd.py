"""A private libvirtd: apart from the host, and gone with its owner."""

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashinit.errors import HostError
from crashinit.machine.vagrant import host_libvirt, libvirtd
from crashinit.machine.vagrant.libvirtd import PrivateLibvirt

installed = pytest.mark.skipif(shutil.which("libvirtd") is None, reason="libvirtd is not installed")

OWNER = """
import sys
from pathlib import Path
from crashinit.machine.vagrant.libvirtd import PrivateLibvirt

print(PrivateLibvirt(Path(sys.argv[1])).pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    path = tmp_path / "disks"
    path.mkdir()
    return path


@pytest.fixture
def daemon(storage: Path) -> Iterator[PrivateLibvirt]:
    private = PrivateLibvirt(storage)
    yield private
    private.close()


def virsh(daemon: PrivateLibvirt, *words: str) -> str:
    argv = daemon.beside(["virsh", "-q", "-c", "qemu:///system", *words])
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@installed
def test_private_daemon_is_apart(daemon: PrivateLibvirt) -> None:
    """It has a network and a pool of its own; the host has neither its bridge nor its socket nor its configuration."""
    configuration = Path("/etc/libvirt/qemu.conf").read_text()

    assert "vagrant-libvirt" in virsh(daemon, "net-list", "--name")
    assert "default" in virsh(daemon, "pool-list", "--name")
    assert not Path("/sys/class/net/crashinit0").exists()
    assert not host_libvirt.host_has_libvirt()
    assert "cgroup_controllers" not in configuration or "cgroup_controllers = []" not in configuration


@installed
def test_two_private_daemons(daemon: PrivateLibvirt, tmp_path: Path) -> None:
    """Two at a time do not see each other, although their networks have the same name and addresses."""
    (tmp_path / "other").mkdir()
    other = PrivateLibvirt(tmp_path / "other")
    try:
        virsh(other, "net-destroy", "vagrant-libvirt")
        assert "vagrant-libvirt" not in virsh(other, "net-list", "--name")
        assert "vagrant-libvirt" in virsh(daemon, "net-list", "--name")
    finally:
        other.close()


@installed
def test_network_is_reached(daemon: PrivateLibvirt) -> None:
    """A command that is led to the network sees the bridge, and keeps the host's files and processes."""
    seen = subprocess.run(
        daemon.network(["sh", "-c", "ip -o link show crashinit0; kill -0 $1", "sh", str(os.getpid())]),
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert "crashinit0" in seen


@installed
def test_daemon_dies_with_a_killed_owner(storage: Path) -> None:
    """SIGKILL of the owner ends every process of the namespaces."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(storage)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        first = int(owner.stdout.readline())
        space = _space(Path(f"/proc/{first}"))
        pids = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _space(path) == space]
        descriptors = [os.pidfd_open(pid) for pid in pids]
        owner.send_signal(signal.SIGKILL)
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
            assert poll.poll(30_000), "a process outlives the owner"
            poll.unregister(descriptor)
            os.close(descriptor)

    assert len(pids) >= 3  # the script, libvirtd, dnsmasq


@installed
def test_command_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m ...libvirtd` runs a command there, passes its exit status on, leaves nothing."""
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "cache"))
    argv = [
        sys.executable,
        "-m",
        "crashinit.machine.vagrant.libvirtd",
        "sh",
        "-c",
        "virsh -q -c qemu:///system net-list; exit 7",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert (done.returncode, "vagrant-libvirt" in done.stdout) == (7, True)
    assert list((tmp_path / "cache" / "vagrant").glob("run-*")) == []


def test_daemon_that_does_not_start(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that fails is one sentence with what it said last."""
    script = storage.parent / "script"
    script.write_text("echo first >&2; echo 'the last word' >&2; exit 1")
    monkeypatch.setattr(libvirtd, "SCRIPT", script)
    with pytest.raises(HostError, match="a private libvirtd does not start on this host: the last word"):
        PrivateLibvirt(storage)


def _space(process: Path) -> str:
    """The pid namespace of a process, by its directory in proc(5); "" when it is gone."""
    try:
        return str((process / "ns" / "pid").readlink())
    except OSError:
        return ""
