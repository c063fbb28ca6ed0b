"""Settings for machines under Vagrant, from the environment and from a file."""

from pathlib import Path

import pytest
from crashinit.errors import UsageError
from crashinit.machine.vagrant import settings as vagrant_settings
from crashinit.machine.vagrant.settings import accel, provider, setting


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file of a checkout of its own; no setting is in the environment."""
    monkeypatch.setattr(vagrant_settings, "ROOT", tmp_path)
    for name in (
        "VAGRANT_DEFAULT_PROVIDER",
        *(f"CRASHINIT_VAGRANT_{word}" for word in ("PROVIDER", "ACCEL", "MEMORY")),
    ):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "vagrant.yaml"


def test_environment_before_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment comes before the file, the file before the default; a number is one either way."""
    assert setting("memory", "512") == "512"
    file.write_text("memory: 768\n")
    assert setting("memory", "512") == "768"
    monkeypatch.setenv("CRASHINIT_VAGRANT_MEMORY", "1024")
    assert setting("memory", "512") == "1024"


def test_provider(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """libvirt unless the file says otherwise; Vagrant's own variable before all."""
    assert provider() == "libvirt"
    file.write_text("provider: virtualbox\n")
    assert provider() == "virtualbox"
    monkeypatch.setenv("VAGRANT_DEFAULT_PROVIDER", "libvirt")
    assert provider() == "libvirt"


def test_unknown_provider(file: Path) -> None:
    """A provider that the Vagrantfile does not know is one sentence."""
    file.write_text("provider: docker\n")
    with pytest.raises(UsageError, match="no provider 'docker': choose 'libvirt' or 'virtualbox'"):
        provider()


def test_accelerator(file: Path) -> None:
    """Nobody has to say one; one that the Vagrantfile does not know is one sentence."""
    assert accel() == ""
    file.write_text("accel: tcg\n")
    assert accel() == "tcg"
    file.write_text("accel: fast\n")
    with pytest.raises(UsageError, match="no accelerator 'fast': choose 'kvm' or 'tcg'"):
        accel()


@pytest.mark.parametrize("content", ["memory: [1", "- memory"])
def test_broken_file(file: Path, content: str) -> None:
    """A file that holds no settings is one sentence with its name."""
    file.write_text(content)
    with pytest.raises(UsageError, match=r"vagrant\.yaml"):
        setting("memory")
