"""What the doctor finds."""

from pathlib import Path

import pytest
from crashinit.machine import doctor, owned
from crashinit.machine.guests import image
from crashinit.machine.qemu import accel, qemu
from crashinit.machine.vagrant import host_libvirt


def test_examine() -> None:
    """Every finding has a state, and words for people; this host, where the tests run, lacks nothing."""
    findings = {finding.name: finding for finding in doctor.examine()}

    assert {"qemu-system-x86_64", "mmdebstrap", "mke2fs", "busybox", "kvm", "root", "disk", "memory"} <= set(findings)
    assert all(finding.text for finding in findings.values())
    assert [name for name, finding in findings.items() if finding.state == "missing"] == []


def test_what_is_missing_comes_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is not there is missing, and its package is named."""
    monkeypatch.setitem(doctor.PROGRAMS, "no-such-tool", "no-such-package")
    (finding,) = [finding for finding in doctor.examine() if finding.state == "missing"]

    assert (finding.name, finding.text) == ("no-such-tool", "is not installed")
    assert finding.remedy == "apt-get install --no-install-recommends no-such-package"


def test_optional_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only some uses need does not stop the others."""
    monkeypatch.setitem(doctor.OPTIONAL, "no-such-tool", "no-such-package")
    (finding,) = [finding for finding in doctor.examine() if finding.name == "no-such-tool"]

    assert finding.state == "optional"
    assert finding.remedy == "apt-get install --no-install-recommends no-such-package"


def test_a_libvirt_that_cannot_be_started_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    """None answers and there is no program to start: what installs it is said, and not that one will be started."""
    monkeypatch.setattr(host_libvirt, "SOCKETS", ())
    monkeypatch.setattr(image, "search_path", lambda: "/nowhere")
    (finding,) = [finding for finding in doctor.examine() if finding.name == "libvirt"]

    assert finding.state == "optional"
    assert "needs 'libvirtd'" in finding.text
    assert finding.remedy.startswith("apt-get install --no-install-recommends libvirt-daemon-system ")


def test_the_command_for_kvm_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where machines may not open the device, the command that lets them names the device."""
    device = tmp_path / "kvm"
    device.touch(0o600)
    monkeypatch.setattr(accel, "DEVICE", device)
    monkeypatch.setattr(qemu, "user", lambda _name: owned.unprivileged())
    monkeypatch.delenv("CRASHINIT_ACCEL", raising=False)
    known = accel.remembered()

    assert known is not None
    assert f"(run 'chgrp kvm {device} && chmod 660 {device}')" in known.reason


def test_the_verdict_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says whether this host is ready, and names what is missing."""
    assert doctor.verdict([doctor.Finding("kvm", True, "used")]) == "ready: machines run."
    findings = [doctor.Finding("kvm", False, "", required=False), doctor.Finding("ssh", False, "", required=False)]
    assert doctor.verdict(findings) == "ready: machines run in software emulation; the provider 'vagrant' is not."

    missing = doctor.verdict([*findings, doctor.Finding("mke2fs", False, "")])
    assert missing.startswith("not ready: mke2fs missing.")


def test_a_kvm_that_qemu_aborts_under_is_told_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What emulation costs and what to do about it, and none of QEMU's assertions."""
    reason = f"{accel.NO_START}: QEMU was ended by signal 6; kvm_buf_set_msrs: Assertion `ret == cpu->n' failed."
    monkeypatch.setattr(accel, "remembered", lambda: accel.Accel("tcg", reason))
    (found,) = [finding for finding in doctor.examine() if finding.name == "kvm"]

    assert "Assertion" not in found.text and "signal" not in found.text
    assert "several times slower" in found.text and "nested virtualisation" in found.remedy

    monkeypatch.setattr(accel, "remembered", lambda: accel.Accel("tcg", "'/dev/kvm' may not be opened (run 'x')"))
    (found,) = [finding for finding in doctor.examine() if finding.name == "kvm"]
    assert "(run 'x')" in found.text and not found.remedy
