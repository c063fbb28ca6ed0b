"""Providers and accelerators: choices, and what is said about wrong ones."""

import pytest
from crashinit.errors import HostError, UsageError
from crashinit.machine.protocol import Provider
from crashinit.machine.provider import QemuProvider, get_provider
from crashinit.machine.qemu import accel, qemu


def test_unknown_provider() -> None:
    """A wrong name is told with the right ones."""
    with pytest.raises(UsageError, match=r"there is no provider 'cloud': choose one of .*'qemu'"):
        get_provider("cloud")


def test_accelerator_is_one_that_works(provider: Provider) -> None:
    """The accelerator is KVM or TCG, with a reason."""
    assert isinstance(provider, QemuProvider)
    assert provider.accel in ("kvm", "tcg")
    assert provider.acceleration().reason


def test_accelerator_by_hand(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """CRASHINIT_ACCEL decides without a probe; a wrong value is told with the right ones."""
    monkeypatch.setenv("CRASHINIT_ACCEL", "tcg")
    assert provider.accel == "tcg"

    monkeypatch.setenv("CRASHINIT_ACCEL", "magic")
    with pytest.raises(UsageError, match="CRASHINIT_ACCEL is 'magic': it must be 'kvm' or 'tcg'"):
        accel.remembered()


def test_cold_boot(provider: Provider) -> None:
    """A machine booted from cold, without a template, answers as a clone does."""
    assert isinstance(provider, QemuProvider)
    with provider.boot() as machine:
        assert machine.run("uname", "-s").stdout == "Linux\n"


def test_missing_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without QEMU the provider says at once what to install."""
    monkeypatch.setenv("PATH", "/nonexistent")
    qemu.version.cache_clear()
    with pytest.raises(HostError, match=r"'qemu-system-x86_64' is not installed: run 'apt-get install .*'"):
        get_provider("qemu")
