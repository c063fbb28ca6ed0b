"""What a driver was asked for, out of its adapter and its storage options.

The `dm.*` options are those of Docker's devicemapper driver, which dockerd, containers-storage and thindriver share;
a driver with other options states what is to be expected in its adapter's [expect] table.
"""

import re
from collections.abc import Mapping
from typing import Any

from crashinit.adapters.adapter import Adapter
from crashinit.contract.expectation import Expectation
from crashinit.errors import UsageError

GIB = 1 << 30
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": GIB, "t": 1 << 40, "p": 1 << 50}
DEFAULTS: Mapping[str, Any] = {
    # docs/seed.md: the defaults of the original
    "fstype": "ext4",
    "base_size": 10 * GIB,
    "data_size": 100 * GIB,
    "metadata_size": 2 * GIB,
}
SIZES = {
    "dm.basesize": "base_size",
    "dm.loopdatasize": "data_size",
    "dm.loopmetadatasize": "metadata_size",
    "dm.blocksize": "block_size",
}


def expectation_of(adapter: Adapter, options: tuple[str, ...], deadline: float) -> Expectation:
    """What one init with these options is to bring about."""
    known: dict[str, Any] = {**DEFAULTS, **adapter.expect}
    for option in (*adapter.options, *options):
        key, _, value = (part.strip() for part in option.partition("="))
        if key in SIZES:
            known[SIZES[key]] = size(value)
        elif key == "dm.fs":
            known["fstype"] = value
    return Expectation(
        metadata_format="none" if adapter.metadata == "containerd" else adapter.metadata,
        deadline=deadline,
        not_applicable=adapter.not_applicable,
        **known,
    )


def size(text: str) -> int:
    """Bytes of '64M' or '1g', binary multiples; raises UsageError."""
    match = re.fullmatch(r"(\d+)([kmgtp]?)b?", text.strip().lower())
    if not match:
        raise UsageError(f"the storage option's size '{text}' is not of the form '64M'.")
    return int(match[1]) * UNITS[match[2]]
