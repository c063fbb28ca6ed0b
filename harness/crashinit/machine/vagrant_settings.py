"""What people may set for machines under Vagrant: in the environment, or in 'vagrant.yaml' beside the Vagrantfile.

The Vagrantfile reads the same two; the provider has to know some of them before it starts Vagrant.
"""

import os
from pathlib import Path

import yaml

from crashinit.errors import UsageError

ROOT = Path(__file__).parents[3]  # the checkout: the Vagrantfile lies there
PREFIX = "CRASHINIT_VAGRANT_"
PROVIDERS = ("libvirt", "virtualbox")


def setting(name: str, default: str = "") -> str:
    """The setting of that name in lower case; the environment comes before the file. Raises UsageError."""
    return os.environ.get(PREFIX + name.upper()) or written(ROOT / "vagrant.yaml").get(name) or default


def provider() -> str:
    """Vagrant's provider; its own variable comes first. Raises UsageError."""
    chosen = os.environ.get("VAGRANT_DEFAULT_PROVIDER") or setting("provider", PROVIDERS[0])
    if chosen not in PROVIDERS:
        known = " or ".join(f"'{name}'" for name in PROVIDERS)
        raise UsageError(f"the Vagrantfile has no provider '{chosen}': choose {known}")
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
