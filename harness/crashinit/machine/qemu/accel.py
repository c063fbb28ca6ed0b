"""Which accelerator machines run under: KVM where it boots a guest, else software emulation (TCG).

That /dev/kvm exists says little (inside another virtual machine a guest may hang under it), so a kernel is booted.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from crashinit.errors import CrashinitError, UsageError
from crashinit.machine import owned
from crashinit.machine.cache import MIB, cache_dir, digest, disk_errors, give_back
from crashinit.machine.files import File
from crashinit.machine.guests.image import Image
from crashinit.machine.payload import appended
from crashinit.machine.qemu import qemu
from crashinit.machine.qemu.block import Layer
from crashinit.machine.qemu.memory import Memory
from crashinit.machine.qemu.qemu import CMDLINE, Hardware, Kernel, Qemu, version

DEVICE = qemu.KVM
PROBED_MEMORY = 256 * MIB
DEADLINE = 8.0  # seconds; under a KVM that works the kernel is up in one
NO_START = "QEMU does not start under KVM"
ALIVE = "crashinit: the probe is alive"  # what boot/initrd.sh prints


@dataclass(frozen=True)
class Accel:
    """The accelerator, "kvm" or "tcg", and the reason in half a sentence."""

    name: str
    reason: str


def chosen() -> Accel | None:
    """What $CRASHINIT_ACCEL asks for, if anything. Raises UsageError."""
    asked = os.environ.get("CRASHINIT_ACCEL", "")
    if asked not in ("", "kvm", "tcg"):
        raise UsageError(f"CRASHINIT_ACCEL is '{asked}': it must be 'kvm' or 'tcg'")
    return Accel(asked, "CRASHINIT_ACCEL says so") if asked else None


def remembered() -> Accel | None:
    """What is known without a probe: asked for, no KVM at all, or probed since this host booted."""
    if (asked := chosen()) is not None:
        return asked
    if not DEVICE.exists():
        return Accel("tcg", f"there is no '{DEVICE}'")
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return Accel(
            "tcg", f"'{DEVICE}' may not be opened by this user (run 'sudo usermod -aG kvm \"$USER\"', log in anew)"
        )
    user = qemu.user("kvm")
    if user is not None and not user.may_open(DEVICE):
        return Accel(
            "tcg",
            f"machines run as user '{owned.NOBODY}', who may not open '{DEVICE}' "
            f"(run 'chgrp kvm {DEVICE} && chmod 660 {DEVICE}')",
        )
    try:
        return Accel(**json.loads(_answer().read_text()))
    except (OSError, ValueError, TypeError):
        return None


def accelerator(image: Image, *, note: Callable[[str], None] = lambda text: None) -> Accel:
    """The accelerator to use on this host, probed with `image`'s kernel if that was not done since the host booted."""
    known = remembered()
    if known is None:
        note("looking whether KVM boots a guest here")
        known = probe(image)
        _remember(known)
    return known


def _remember(known: Accel) -> None:
    answer = _answer()
    fresh = answer.with_suffix(f".{os.getpid()}.tmp")
    with disk_errors(cache_dir()):
        try:
            fresh.write_text(json.dumps(asdict(known)))
            give_back(fresh)
            fresh.rename(answer)
        finally:
            fresh.unlink(missing_ok=True)


def probe(image: Image) -> Accel:
    """Boot `image`'s kernel under KVM as far as its first process."""
    initrd = File.in_memory("initrd")
    os.write(initrd.fd, appended(image.initrd.read_bytes()))
    kernel = Kernel(File.open(image.kernel).sealed(), initrd.sealed(), f"{CMDLINE} crashinit.probe ")
    ram = Memory(File.in_memory("ram", PROBED_MEMORY))
    disk = File.on_disk()
    with disk_errors(cache_dir()):
        os.ftruncate(disk.fd, MIB)
    try:
        qemu = Qemu(Hardware("kvm", PROBED_MEMORY), kernel, [Layer(disk, "raw")], {"ram": ram})
    except CrashinitError as problem:
        return Accel("tcg", f"{NO_START}: {problem}")
    try:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline and qemu.running():
            if ALIVE in qemu.console():
                return Accel("kvm", "a guest boots under it")
            time.sleep(0.02)
        return Accel("tcg", f"'{DEVICE}' exists but a guest does not boot under it within {DEADLINE:g} s")
    finally:
        qemu.kill()


def _answer() -> Path:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return cache_dir() / f"accel-{digest(boot, version())}.json"
