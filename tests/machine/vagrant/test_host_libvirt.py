"""The host's own libvirt: what ours left there goes, what is others' stays. A private daemon plays the host's."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("libvirtd") is None, reason="libvirtd is not installed")

SCENE = """
import subprocess
import sys
from pathlib import Path

from crashinit.machine.vagrant import host_libvirt
from crashinit.machine.vagrant.rundir import RunDirectory

DOMAIN = "<domain type='qemu'><name>{}</name><memory>65536</memory><os><type>hvm</type></os></domain>"
NETWORK = "<network><name>crashinit</name><ip address='192.168.127.1' prefix='24'/></network>"
BOX = "crashinit-0123456789abcdef_vagrant_box_image_0_box.img"


def virsh(*words, text=None):
    argv = ["virsh", "-q", "-c", "qemu:///system", *words]
    return subprocess.run(argv, input=text, check=True, capture_output=True, text=True).stdout


def left():
    pool = [line.split()[0] for line in virsh("vol-list", "--pool", "default").splitlines()]
    return sorted([*virsh("list", "--all", "--name").split(), *virsh("net-list", "--all", "--name").split(), *pool])


def domain(name):
    virsh("define", "/dev/stdin", text=DOMAIN.format(name))


assert host_libvirt.host_has_libvirt()
"""


def played(scene: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the scene prints last, in words."""
    monkeypatch.setenv("CRASHINIT_CACHE", str(cache))
    argv = [sys.executable, "-m", "crashinit.machine.vagrant.libvirtd", sys.executable, "-c", SCENE + scene]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_nothing_of_ours_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our VM, our box's disk and our network go; a VM, a disk and a network of other people stay."""
    scene = """
domain("run-abc-default")
virsh("start", "run-abc-default")
domain("theirs")
for disk in (BOX, "crashinit_vagrant_box_image_0_box.img", "theirs.img"):
    virsh("vol-create-as", "default", disk, "1M")
virsh("net-define", "/dev/stdin", text=NETWORK)
virsh("net-start", "crashinit")
assert host_libvirt.ready_for_box("crashinit-0123456789abcdef")
host_libvirt.remove_vm("run-abc")
host_libvirt.remove_shared()
print(*left())
"""
    theirs = ["crashinit_vagrant_box_image_0_box.img", "theirs", "theirs.img", "vagrant-libvirt"]
    assert played(scene, tmp_path, monkeypatch) == theirs


def test_shared_things_stay_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another VM of ours is there, the box's disk, which is below its own, stays."""
    scene = """
domain("run-other-default")
virsh("vol-create-as", "default", BOX, "1M")
host_libvirt.remove_vm("run-abc")
host_libvirt.remove_shared()
print(*left())
"""
    kept = ["crashinit-0123456789abcdef_vagrant_box_image_0_box.img", "run-other-default", "vagrant-libvirt"]
    assert played(scene, tmp_path, monkeypatch) == kept


def test_vm_of_a_killed_run_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The VM of a run whose owner was killed goes when the next run begins; the last one clears the rest away."""
    scene = """
owner = [sys.executable, "-c", "import os; from crashinit.machine.vagrant.rundir import RunDirectory; "
         "print(RunDirectory().path, flush=True); os.kill(os.getpid(), 9)"]
dead = Path(subprocess.run(owner, check=False, capture_output=True, text=True).stdout.strip())
assert dead.is_dir()
domain(f"{dead.name}-default")
virsh("vol-create-as", "default", BOX, "1M")
run = RunDirectory()
print(dead.exists(), *left())
run.remove(host_libvirt.remove_shared)
print(*left())
"""
    box = "crashinit-0123456789abcdef_vagrant_box_image_0_box.img"
    assert played(scene, tmp_path, monkeypatch) == ["False", box, "vagrant-libvirt", "vagrant-libvirt"]
