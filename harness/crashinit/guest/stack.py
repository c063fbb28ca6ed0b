"""The stack of block devices, as sysfs shows it: what stands on what (Documentation/ABI/stable/sysfs-block)."""

# ruff: noqa: PTH208 - plain os calls, in an emulated machine
import os
from pathlib import Path
from typing import Any

from .names import read_text

BLOCK = Path("/sys/class/block")
SECTOR = 512  # bytes; sysfs counts sizes in them whatever the device has
NEVER = ("ram", "fd", "sr", "nbd")  # what a kernel lists without a driver having made it


def blocks() -> list[dict[str, Any]]:
    """Every block device that has a size, by name."""
    swapped = {line.split()[0] for line in read_text(Path("/proc/swaps")).splitlines()[1:]}
    found = []
    for name in sorted(os.listdir(BLOCK)):
        size = SECTOR * int(read_text(BLOCK / name / "size") or 0)
        if size and not name.startswith(NEVER):
            found.append(
                {
                    "name": name,
                    "device": read_text(BLOCK / name / "dev"),
                    "size": size,
                    "slaves": linked(name, "slaves"),
                    "holders": linked(name, "holders"),
                    "swap": f"/dev/{name}" in swapped,
                }
            )
    return found


def linked(name: str, kind: str) -> list[str]:
    """The names in a device's directory of holders or slaves; none where there is no such directory."""
    try:
        return sorted(os.listdir(BLOCK / name / kind))
    except OSError:
        return []
