"""The probe: looks at the system's storage state and leaves it as it found it.

Nothing here raises for a broken state: what could not be observed is a gap, and a sentence says whose fault that is.
Devices are looked at before they are read, because a read from a suspended device never returns.
"""

# ruff: noqa: PTH115 - plain os calls where each file of a tree is asked

import errno
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import dm, parts, records, stack
from .census import Census, in_runs
from .gaps import Gaps
from .kernel_log import KernelLog
from .names import below, read_text
from .rest import settle
from .uevents import CONTEXT

DM_COOKIE_MAGIC = 0x0D4D  # <libdevmapper.h>: upper half of the key of a udev cookie's semaphore
SETTLE_LIMIT = 15.0  # seconds; a busy host is slow, and a trial that waits in vain is lost
DIGESTED = 64 << 10  # bytes of a file whose content counts; what is larger is data
ALL_DIGESTED = 4 << 20  # bytes of all files of one observation
FORMAT = 2  # of the observation: contract.observation


@dataclass(frozen=True)
class Spec:
    """What to look at. `given` has what concerns the family's part alone, by the names that the adapter's keys have."""

    root: str
    part: str  # the package of that part; "": the core alone looks
    format: str  # of the driver's records
    records: tuple[str, ...]  # the command that prints them; (): they are not had in that way
    digests: bool  # of the users' data
    after_shutdown: bool
    given: Mapping[str, Any]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Spec":
        """The spec that a peer gave. Raises TypeError or KeyError when it is not one."""
        return cls(
            root=os.path.realpath(given["root"]),
            part=given.get("part", ""),
            format=given.get("format", "none"),
            records=tuple(given.get("records", ())),
            digests=bool(given.get("digests")),
            after_shutdown=bool(given.get("after_shutdown")),
            given=given,
        )


@dataclass(frozen=True)
class Seen:
    """What the core of the probe has seen, for the family's part."""

    dm: list[dict[str, Any]]
    loops: list[dict[str, Any]]
    mounts: "list[Mount]"
    records: dict[str, str]  # what the driver's own command told of its volumes


def observe(spec: Spec, log: KernelLog, census: Census) -> dict[str, Any]:
    """The observation, as model.observation.Observation."""
    gaps = Gaps()
    running = in_runs()
    rested = settle(SETTLE_LIMIT)
    devices = dm_devices(gaps)
    if not rested:
        _unrest(devices, gaps)
    loops = loop_devices()
    mounts = mount_table()
    told = records.texts(spec.records, gaps) if spec.records and not spec.after_shutdown else {}
    own = parts.load(spec.part).observe(spec, Seen(devices, loops, mounts, told), gaps) if spec.part else {}
    lines, complete = log.lines()
    if not complete:
        gaps.harness("kernel_log", "the kernel's log lost messages before they were read")
    return {
        "root": spec.root,
        "pool_name": "",
        "base_name": "",
        "base_id": None,
        "dm": devices,
        "loops": loops,
        "mapper_nodes": mapper_nodes(gaps),
        "files": files(spec.root, {mount.target for mount in mounts}, gaps),
        "metadata": told,
        "mounts": [
            {"source": mount.source, "target": mount.target, "fstype": mount.fstype, "options": mount.options}
            for mount in concerning(mounts, spec.root, {entry["device"] for entry in (*devices, *loops)})
        ],
        "semaphores": semaphores(),
        "processes": census.processes(running),
        "base": None,
        "pool": None,
        "thin_check": None,
        "kernel_log": lines,
        "prefixes": list(spec.given.get("prefixes", ())),
        "blocks": stack.blocks(),
        "problems": gaps.problems,
        "unseen": gaps.unseen,
        "format": FORMAT,
        **own,
    }


def _unrest(devices: list[dict[str, Any]], gaps: Gaps) -> None:
    """udevd is still busy: it waits for a device that does not answer, or the machine is slow."""
    parts = "dm, mapper_nodes, semaphores"
    suspended = [device["name"] for device in devices if device["suspended"]]
    if suspended:
        gaps.state(parts, f"udevd has not come to rest: '{suspended[0]}' is suspended")
    else:
        gaps.harness(parts, f"udevd did not process its events within {SETTLE_LIMIT:g} s")


def dm_devices(gaps: Gaps) -> list[dict[str, Any]]:
    """Every dm device, by name."""
    found: list[dict[str, Any]] = []
    names: list[str] = []
    with gaps.looking("dm", "the dm devices could not be listed"):
        names = sorted(dm.names())
    for name in names:
        with gaps.looking("dm", f"the dm device '{name}' could not be observed"):
            if entry := dm_device(name):
                found.append(entry)
    return found


def dm_device(name: str) -> dict[str, Any] | None:
    """One dm device; None if it has gone meanwhile. Raises OSError."""
    info = dm.info(name)
    if info is None:
        return None
    return {
        "name": name,
        "uuid": info.uuid,
        "device": info.device,
        "suspended": info.suspended,
        "read_only": bool(info.flags & dm.DM_READONLY_FLAG),
        "open_count": info.open_count,
        "live_table": [str(line) for line in dm.table(name)],
        "inactive_table": [
            str(line) for line in dm.table(name, dm.DM_STATUS_TABLE_FLAG | dm.DM_QUERY_INACTIVE_TABLE_FLAG)
        ],
        "status": [str(line) for line in dm.table(name, 0)],
        "registered": node_of(f"/dev/mapper/{name}") == info.device,
    }


def mapper_nodes(gaps: Gaps) -> list[str]:
    """The names in /dev/mapper."""
    with gaps.looking("mapper_nodes", "'/dev/mapper' could not be read"):
        return sorted(node.name for node in Path("/dev/mapper").iterdir() if node.name != "control")
    return []


def node_of(path: str) -> str:
    """ "major:minor" of the block device at a path; '' if there is none."""
    try:
        status = Path(path).stat()
    except OSError:
        return ""
    return dm.unhuge(status.st_rdev) if stat.S_ISBLK(status.st_mode) else ""


def loop_devices() -> list[dict[str, Any]]:
    """Every attached loop device, by number."""
    found = []
    for device in CONTEXT.list_devices(subsystem="block").match_sys_name("loop*"):
        loop = Path(device.sys_path) / "loop"
        backing = read_text(loop / "backing_file")
        if not backing:
            continue  # not attached, or detached while we looked
        found.append(
            {
                "name": device.sys_name,
                "device": dm.unhuge(device.device_number),
                "backing_file": backing.removesuffix(" (deleted)"),
                "backing_deleted": backing.endswith(" (deleted)"),
                "autoclear": read_text(loop / "autoclear") == "1",
                "offset": int(read_text(loop / "offset") or 0),
                "sizelimit": int(read_text(loop / "sizelimit") or 0),
                "size": 512 * int(read_text(loop.parent / "size") or 0),
            }
        )
    return sorted(found, key=lambda entry: int(str(entry["name"]).removeprefix("loop")))


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo."""

    device: str  # "major:minor"
    inner: str  # the directory of that file system which is mounted
    source: str
    target: str
    fstype: str
    options: str


def mount_table() -> list[Mount]:
    """Each mount, what lies on top last (proc(5), mountinfo)."""
    table = []
    for line in Path("/proc/self/mountinfo").read_bytes().split(b"\n")[:-1]:
        left, _, right = line.partition(b" - ")
        _id, _parent, device, inner, target, options, *_ = map(unescape, left.split(b" "))
        fstype, source, _super = map(unescape, right.split(b" ", 2))
        table.append(Mount(device, inner, source, target, fstype, options))
    return table


def concerning(table: list[Mount], root: str, driven: set[str]) -> list[Mount]:
    """The mounts on and below the root, and those of the driver's devices; not the disk that the root lies on."""
    on_root = next((mount for mount in table if mount.target == root), None)
    disk = None
    if on_root and on_root.inner == "/" and on_root.device not in driven and is_block(on_root.device):
        disk = on_root
    return [mount for mount in table if mount is not disk and (below(mount.target, root) or mount.device in driven)]


def is_block(number: str) -> bool:
    """Whether there is a block device with this "major:minor"; a tmpfs or an overlay has a number of its own."""
    return Path(f"/sys/dev/block/{number}").exists()


def unescape(word: bytes) -> str:
    """A field of mountinfo without its octal escapes, as a path is spelt elsewhere."""
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), word))


def files(root: str, mounts: set[str], gaps: Gaps) -> list[dict[str, Any]]:
    """Everything below the root, sorted; what is mounted there is not entered."""
    found: list[dict[str, Any]] = []
    waiting = [root]
    while waiting:
        directory = waiting.pop()
        with gaps.looking("files", f"the directory '{directory}' could not be read"), suppress(FileNotFoundError):
            for entry in list(os.scandir(directory)):
                with gaps.looking("files", f"'{entry.path}' could not be looked at"), suppress(FileNotFoundError):
                    found.append(file_entry(entry.path, root))
                    if found[-1]["kind"] == "dir" and entry.path not in mounts:
                        waiting.append(entry.path)
    found.sort(key=lambda entry: str(entry["path"]))
    left = ALL_DIGESTED
    for facts in found:
        if facts["kind"] == "file" and facts["size"] <= min(DIGESTED, left):
            left -= facts["size"]
            with gaps.looking("files", f"the file '{facts['path']}' could not be read"), suppress(FileNotFoundError):
                facts["digest"] = hashlib.sha256((Path(root) / facts["path"]).read_bytes()).hexdigest()
    return found


def file_entry(path: str, root: str) -> dict[str, Any]:
    """One entry below the root, but for its content. Raises OSError."""
    status = os.lstat(path)
    kind = kind_of(status.st_mode)
    return {
        "path": os.path.relpath(path, root),
        "kind": kind,
        "mode": stat.S_IMODE(status.st_mode),
        "size": status.st_size if kind == "file" else 0,
        "owner": f"{status.st_uid}:{status.st_gid}",
        "link": os.readlink(path) if kind == "symlink" else "",
        "xattrs": {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(xattrs(path))},
        "digest": "",
    }


def xattrs(path: str) -> list[str]:
    """The names of a file's extended attributes; none where its file system knows none. Raises OSError."""
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return []
        raise


def kind_of(mode: int) -> str:
    """What a file entry is called in the observation."""
    if stat.S_ISDIR(mode):
        return "dir"
    if stat.S_ISREG(mode):
        return "file"
    return "symlink" if stat.S_ISLNK(mode) else "other"


def semaphores() -> list[int]:
    """Keys of the semaphores that udev cookies use."""
    lines = Path("/proc/sysvipc/sem").read_text(encoding="ascii").splitlines()[1:]
    keys = [int(line.split()[0]) & 0xFFFFFFFF for line in lines]
    return sorted(key for key in keys if key >> 16 == DM_COOKIE_MAGIC)
