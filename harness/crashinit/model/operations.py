"""Operations as the gate names them: their kinds, and what of their keys only counts."""

import re

# What only asks, or makes no more than a process. It is stopped where errors are injected, and moves no trace on.
READS = (
    "file.open", "dev.open", "dev.read", "dev.get-size", "loop.get-status", "process.clone", "process.pipe",
    "dm.version", "dm.list", "dm.info", "dm.wait", "dm.deps", "dm.status", "dm.table", "dm.targets",
)  # fmt: skip

# Which one of several it is: at the end of an operation's key, and of a device's name
COUNTED = re.compile(r"#\d+$")
NUMBERED = re.compile(r"(?<=[-_])\d+\b|(?<=loop)\d+\b")


def uncounted(key: str) -> str:
    """An operation's key without what counts operations and objects: 'dev.write ctd-pool-snap-N'."""
    return NUMBERED.sub("N", COUNTED.sub("", key))
