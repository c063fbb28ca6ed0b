"""Kinds of operations, as the gate names them."""

# What only asks, or makes no more than a process. It is stopped where errors are injected, and moves no trace on.
READS = (
    "file.open", "dev.open", "dev.read", "dev.get-size", "loop.get-status", "process.clone", "process.pipe",
    "dm.version", "dm.list", "dm.info", "dm.wait", "dm.deps", "dm.status", "dm.table", "dm.targets",
)  # fmt: skip
