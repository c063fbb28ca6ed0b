"""The volumes that a driver brings up: where they are, what is in them, and how a user uses one."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import dm, process
from .exercise import StageError, Stages, mounted, written_and_read
from .filesystem import frozen, identified
from .gaps import Gaps
from .names import below
from .probe import Mount, Seen, Spec, mount_table

BASE = "base"
USER = "crashinit-user-data"  # the volume that a used root holds; the host makes it by the driver's own command
EXERCISED = "crashinit-exercise"
COMMAND_LIMIT = 30.0  # seconds for one of the driver's commands
FIRST_FREE_OBJECTID = 256  # <linux/btrfs_tree.h>: the inode number of a subvolume's own directory


def observe(spec: Spec, seen: Seen, gaps: Gaps) -> dict[str, Any]:
    """The base, its file system, and where it is asked for the user's volume with the digest of its content."""
    if spec.after_shutdown:
        return {"volumes": [], "base": None}
    volumes = []
    base = None
    with gaps.looking("volumes, base", "the base could not be looked at"):
        place = place_of(spec)
        volumes.append(volume(BASE, place, seen.mounts, spec))
        if volumes[0]["device"]:
            point = "" if is_device(place) else mount_point(place, seen.mounts)
            base = frozen(node_of(volumes[0]["device"]), point)
            volumes[0] |= {"fstype": base["fstype"], "uuid": base["uuid"], "size": base["device_size"]}
    if spec.digests and spec.given.get("users"):
        with gaps.looking("volumes", "the user's volume could not be looked at"), in_use(spec, USER) as directory:
            found = volume(USER, str(directory), mount_table(), spec)
            volumes.append({**found, "place": "", "device": "", "digest": digest(directory)})
    return {"volumes": volumes, "base": base}


def exercise(spec: Spec, stages: Stages) -> None:
    """Use it as its user would: a volume of our own by the driver's commands, else a file in the base itself.

    Raises StageError, OSError.
    """
    users = spec.given.get("users", {})
    if users:
        stages.begin("create")
        run(users["create"], EXERCISED)
        written_and_read(lambda: in_use(spec, EXERCISED, stages), stages)
        stages.begin("remove")
        if users.get("remove"):
            run(users["remove"], EXERCISED)
        return
    stages.begin("find")
    found = volume(BASE, place_of(spec), mount_table(), spec)
    if not found["device"]:
        raise StageError("the base is not there")
    if is_device(found["place"]):
        node = found["place"]
        fstype = identified(node)["fstype"]
        written_and_read(lambda: mounted(node, fstype, stages), stages)
    else:
        written_and_read(lambda: here(Path(found["place"])), stages)


def place_of(spec: Spec) -> str:
    """The device's path or the directory, where the adapter says that the base is. ValueError if it does not say."""
    given = spec.given
    if given.get("command"):
        ended = process.tool(list(given["command"]), COMMAND_LIMIT)
        printed = ended.stdout.decode("utf-8", "replace").strip().splitlines()
        if ended.exit or not printed:
            raise ValueError(f"'{' '.join(given['command'])}' told no place: it ended with exit status {ended.exit}")
        return printed[-1]
    place = given.get("device") or given.get("mounted")
    if not place:
        raise ValueError("the adapter's [volume] does not say where the base is")
    return str(place)


def volume(name: str, place: str, mounts: list[Mount], spec: Spec) -> dict[str, Any]:
    """One volume. `device` is "" where it is not there: no device, or a directory on which nothing of its own is."""
    found = {"name": name, "place": place, "device": "", "subvolume": False}
    try:
        status = Path(place).stat()
    except FileNotFoundError:
        return {**found, "place": ""}
    if stat.S_ISBLK(status.st_mode):
        return {**found, "device": dm.unhuge(status.st_rdev)}
    point = mount_point(place, mounts)
    mount = next((one for one in reversed(mounts) if one.target == point), None)
    if mount is None or not below(point, spec.root) or not mount.source.startswith("/dev/"):
        return found
    is_subvolume = status.st_ino == FIRST_FREE_OBJECTID and mount.fstype == "btrfs"
    return {**found, "device": dm.unhuge(Path(mount.source).stat().st_rdev), "subvolume": is_subvolume}


def mount_point(place: str, mounts: list[Mount]) -> str:
    """Where the file system is mounted that a path lies on, as a path."""
    points = [one.target for one in mounts if below(place, one.target) or one.target == "/"]
    return max(points, key=len, default="/")


def node_of(number: str) -> str:
    """The kernel's own node of "major:minor"."""
    return f"/dev/{Path(f'/sys/dev/block/{number}').readlink().name}"


def is_device(path: str) -> bool:
    """Whether a path leads to a block device."""
    return stat.S_ISBLK(Path(path).stat().st_mode)


def digest(directory: Path) -> str:
    """sha256 over the names, kinds and contents of all below a directory. Raises OSError."""
    total = hashlib.sha256()
    for top, directories, files in os.walk(directory):
        directories.sort()
        for name in sorted(files):
            path = Path(top) / name
            if not path.is_symlink() and path.is_file():
                total.update(f"{path.relative_to(directory)}\0".encode("utf-8", "surrogateescape"))
                total.update(path.read_bytes())
    return total.hexdigest()


@contextmanager
def in_use(spec: Spec, name: str, stages: Stages | None = None) -> Iterator[Path]:
    """A user's volume is mounted by the driver's own command inside. Raises StageError."""
    users = spec.given["users"]
    if stages:
        stages.begin("mount")
    printed = run(users["mount"], name).strip().splitlines()
    if not printed:
        raise StageError("the driver's 'mount' printed no mount point")
    try:
        yield Path(printed[-1])
        if stages:
            stages.begin("unmount")
    finally:
        run(users["unmount"], name)


@contextmanager
def here(directory: Path) -> Iterator[Path]:
    """A directory that is mounted already."""
    yield directory


def run(words: list[str], name: str) -> str:
    """What one of the driver's commands printed. Raises StageError when it fails, ToolError when it cannot be run."""
    argv = [word.replace("{id}", name) for word in words]
    try:
        ended = process.run(argv, timeout=COMMAND_LIMIT)
    except OSError as error:
        raise process.ToolError(f"'{argv[0]}' could not be run: {error.strerror}") from error
    if ended.timed_out:
        raise StageError(f"'{' '.join(argv)}' did not end within {COMMAND_LIMIT:g} s")
    if ended.exit:
        said = " ".join(ended.output.split())[-300:]
        raise StageError(f"'{' '.join(argv)}' ended with exit status {ended.exit}: {said or 'it printed nothing'}")
    return ended.stdout.decode("utf-8", "replace")
