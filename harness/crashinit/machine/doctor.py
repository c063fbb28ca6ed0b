"""What this host can do, what is missing, and the command that installs it.

Only facts: the command line prints them. Nothing is changed, built or booted here, so an accelerator that has not
been probed yet is reported as such.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crashinit.errors import CrashinitError, HostError
from crashinit.machine.cache import MIB, cache_dir
from crashinit.machine.guests import image
from crashinit.machine.qemu import accel, qemu
from crashinit.machine.vagrant import host_libvirt

State = Literal["ok", "missing", "optional"]

PROGRAMS = {**image.TOOLS, qemu.PROGRAM: "qemu-system-x86"}  # program -> the Debian package that brings it
OPTIONAL = {  # the same, for the provider 'vagrant'
    "vagrant": "vagrant vagrant-libvirt",
    "virsh": "libvirt-clients",
    "libvirtd": "libvirt-daemon-system libvirt-daemon-driver-qemu dnsmasq-base iptables",
    "ssh": "openssh-client",
}
EMULATED = "Machines run in software emulation: several times slower, with the same results"
TO_HAVE_KVM = "run on bare metal, or turn on nested virtualisation where this host is a virtual machine"
FREE_DISK = image.SPACE_TO_BUILD + 1024 * MIB  # bytes: an image, a template, what machines write
FREE_MEMORY = 1024 * MIB  # bytes: two machines and the forks that wait for them


@dataclass(frozen=True)
class Finding:
    """One thing looked at. What is not `required` is needed by some uses only, or makes things faster."""

    name: str
    ok: bool
    text: str
    remedy: str = ""  # the command that mends it, if there is one; of KVM, words
    required: bool = True

    @property
    def state(self) -> State:
        return "ok" if self.ok else "missing" if self.required else "optional"


def examine() -> list[Finding]:
    """Everything that matters on this host, in the order in which people should mend it."""
    return [*_programs(), _acceleration(), _root(), _disk(), _memory(), *_optional()]


def _programs() -> list[Finding]:
    findings = []
    for program, package in PROGRAMS.items():
        path = image.tool_path(program)
        if path is None:
            findings.append(Finding(program, False, "is not installed", _apt([package])))
        else:
            version = f", version {qemu.version()}" if program == qemu.PROGRAM else ""
            findings.append(Finding(program, True, f"{path}{version}"))
    return findings


def _acceleration() -> Finding:
    try:
        known = accel.remembered()
    except CrashinitError as problem:
        return Finding("kvm", False, str(problem), required=False)
    if known is None:
        return Finding(
            "kvm", True, f"'{accel.DEVICE}' is there; the first run finds out whether a guest boots under it"
        )
    if known.name == "kvm":
        return Finding("kvm", True, f"used: {known.reason}")
    is_told = "(run '" in known.reason or accel.chosen() is not None  # what to do about it
    remedy = "" if is_told else f"to have KVM: {TO_HAVE_KVM}"
    return Finding("kvm", False, f"not used: {_in_short(known.reason)}. {EMULATED}", remedy, required=False)


def _in_short(reason: str) -> str:
    """Why there is no KVM. QEMU's own last words are for its developers."""
    return f"{accel.NO_START}: QEMU ends at once" if accel.NO_START in reason else reason


def verdict(findings: Sequence[Finding]) -> str:
    """All of it in one line: whether this host is ready, and for what."""
    missing = [finding.name for finding in findings if finding.state == "missing"]
    if missing:
        return f"not ready: {', '.join(missing)} missing. Do what stands below each, then run 'crashinit doctor' again."
    limits = [finding.name for finding in findings if finding.state == "optional"]
    emulated = " in software emulation" if "kvm" in limits else ""
    vagrant = "" if not {*OPTIONAL, "libvirt"} & set(limits) else "; the provider 'vagrant' is not"
    return f"ready: machines run{emulated}{vagrant}."


def _root() -> Finding:
    if os.geteuid() == 0:
        return Finding("root", True, "this is root")
    if image.cached_image() is not None:
        return Finding("root", True, "not needed: the guest image is in the cache")
    return Finding("root", False, "is needed once, to build the guest image", image.as_root())


def _disk() -> Finding:
    try:
        where = cache_dir()
    except HostError as problem:
        return Finding("disk", False, str(problem))
    return _amount("disk", shutil.disk_usage(where).free, FREE_DISK, f"in '{where}'")


def _memory() -> Finding:
    # MemAvailable: what can be had without swapping (proc_meminfo(5)), in KiB.
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return _amount("memory", free, FREE_MEMORY, "available")


def _amount(what: str, free: int, needed: int, where: str) -> Finding:
    if free >= needed:
        return Finding(what, True, f"{free // MIB} MB free {where}")
    return Finding(what, False, f"has {free // MIB} MB free {where}, {needed // MIB} MB are needed")


def _optional() -> list[Finding]:
    findings = []
    for program, package in OPTIONAL.items():
        path = image.tool_path(program)
        if path is None:
            detail = "is not installed; only the provider 'vagrant' needs it"
            findings.append(Finding(program, False, detail, _apt([package]), required=False))
        else:
            findings.append(Finding(program, True, path))
    return [*findings, _libvirt()]


def _libvirt() -> Finding:
    if host_libvirt.host_has_libvirt():
        return Finding("libvirt", True, "the host's own answers: the provider 'vagrant' uses it", required=False)
    if image.tool_path("libvirtd") is None:
        needed = "none answers, and to start one of its own the provider 'vagrant' needs 'libvirtd'"
        return Finding("libvirt", False, needed, _apt([OPTIONAL["libvirtd"]]), required=False)
    if os.geteuid() == 0:
        return Finding("libvirt", True, "none answers: the provider 'vagrant' starts one of its own", required=False)
    return Finding(
        "libvirt",
        False,
        "none answers, and to start one of its own the provider 'vagrant' needs root",
        "sudo systemctl start libvirtd",
        required=False,
    )


def _apt(packages: list[str]) -> str:
    return f"apt-get install --no-install-recommends {' '.join(packages)}"
