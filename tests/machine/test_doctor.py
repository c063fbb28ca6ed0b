"""What the doctor finds."""

import pytest
from crashinit import doctor
from crashinit.errors import HostError


def test_examine() -> None:
    """Every finding has a state, and words for people; this host, where the tests run, lacks nothing."""
    findings = {finding.name: finding for finding in doctor.examine()}

    assert {"qemu-system-x86_64", "mmdebstrap", "mke2fs", "busybox", "kvm", "root", "disk", "memory"} <= set(findings)
    assert all(finding.text for finding in findings.values())
    assert [name for name, finding in findings.items() if finding.state == "missing"] == []


def test_missing_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is missing, in one sentence with one command."""
    monkeypatch.setitem(doctor.PROGRAMS, "no-such-tool", "no-such-package")
    monkeypatch.setitem(doctor.PROGRAMS, "another", "another-package")
    with pytest.raises(HostError) as raised:
        doctor.require()

    told = str(raised.value)
    assert "'no-such-tool' is not installed; 'another' is not installed" in told
    assert "'apt-get install --no-install-recommends another-package no-such-package'" in told


def test_optional_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only some uses need does not stop the others."""
    monkeypatch.setitem(doctor.OPTIONAL, "no-such-tool", "no-such-package")
    (finding,) = [finding for finding in doctor.examine() if finding.name == "no-such-tool"]

    assert finding.state == "optional"
    assert finding.remedy == "apt-get install --no-install-recommends no-such-package"
    doctor.require()
