"""What the doctor finds."""

import pytest
from crashinit import doctor


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
