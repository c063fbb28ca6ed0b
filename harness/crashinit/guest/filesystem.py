"""What a read-only look at a file system finds: blkid(8), and the check that its type has."""

from typing import Any

from . import process

TOOL_LIMIT = 30.0  # seconds for one tool
CHECKS = {
    "xfs": ("xfs_repair", "-n"),
    "btrfs": ("btrfs", "check", "--readonly"),
    **dict.fromkeys(("ext2", "ext3", "ext4"), ("e2fsck", "-fn")),
}
UNKNOWN_FILESYSTEM = 2  # blkid's exit status when it recognises nothing


def filesystem(path: str, size: int) -> dict[str, Any]:
    """What blkid and a read-only check say of a device or an image, as contract.observation.Filesystem.

    Raises ToolError when a tool is missing or too slow, ValueError when it hangs or cannot make sense of what is there.
    """
    blkid = _tool(["blkid", "-p", "-u", "filesystem", "-o", "export", path])
    if blkid.exit not in (0, UNKNOWN_FILESYSTEM):
        raise ValueError(f"blkid ended with {blkid.exit}: {' '.join(blkid.output.split())}")
    facts = dict(line.split("=", 1) for line in blkid.stdout.decode("utf-8", "replace").splitlines() if "=" in line)
    fstype = facts.get("TYPE", "")
    found = {"device_size": size, "fstype": fstype, "uuid": facts.get("UUID", "")}
    if fstype not in CHECKS:
        return {**found, "check_argv": [], "check_exit": 0, "check_output": ""}
    check = _tool([*CHECKS[fstype], *(["-f"] if fstype == "xfs" and not path.startswith("/dev/") else []), path])
    return {**found, "check_argv": check.argv, "check_exit": check.exit, "check_output": check.output}


def _tool(argv: list[str]) -> process.Ended:
    return process.tool(argv, TOOL_LIMIT)
