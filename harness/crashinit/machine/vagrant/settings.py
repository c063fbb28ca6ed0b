"""What people may set for machines under Vagrant: in the environment, or in 'vagrant.yaml' beside the Vagrantfile.

The Vagrantfile reads the same two; the provider has to know some of them before it starts Vagrant.
"""

import os
from pathlib import Path

import yaml

from crashinit.errors import UsageError

ROOT = Path(__file__).parents[4]  # the checkout: the Vagrantfile lies there
PREFIX = "CRASHINIT_VAGRANT_"
PROVIDERS = ("libvirt", "virtualbox")
ACCELS = ("kvm", "tcg")


def setting(name: str, default: str = "") -> str:
    """The setting of that name in lower case; the environment comes before the file. Raises UsageError."""
    return os.environ.get(PREFIX + name.upper()) or written(ROOT / "vagrant.yaml").get(name) or default


def provider() -> str:
    """Vagrant's provider; its own variable comes first. Raises UsageError."""
    chosen = os.environ.get("VAGRANT_DEFAULT_PROVIDER") or setting("provider", PROVIDERS[0])
    return _one_of(PROVIDERS, chosen, "provider")


def accel() -> str:
    """What the VM shall run under; "" where nobody has said so. Raises UsageError."""
    chosen = setting("accel")
    return chosen and _one_of(ACCELS, chosen, "accelerator")


def _one_of(known: tuple[str, ...], chosen: str, what: str) -> str:
    if chosen not in known:
        choice = " or ".join(f"'{name}'" for name in known)
        raise UsageError(f"the Vagrantfile has no {what} '{chosen}': choose {choice}")
    return chosen


def written(file: Path) -> dict[str, str]:
    """The settings in that file; none where there is no file. Raises UsageError."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as problem:
        raise UsageError(f"'{file}' is no YAML: {problem}") from problem
    if not isinstance(content, dict):
        raise UsageError(f"'{file}' holds no settings: write one 'name: value' a line")
    return {str(name): str(value) for name, value in content.items()}
