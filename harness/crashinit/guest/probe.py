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
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import bolt, dm, metadata, process
from .census import Census, in_runs
from .gaps import Gaps
from .kernel_log import KernelLog
from .names import below, read_text
from .uevents import CONTEXT

DM_COOKIE_MAGIC = 0x0D4D  # <libdevmapper.h>: upper half of the key of a udev cookie's semaphore
UDEV_QUEUE = Path("/run/udev/queue")  # there while udevd has events to process
SETTLE_LIMIT = 15.0  # seconds; a busy host is slow, and a trial that waits in vain is lost
CHECK_LIMIT = 30.0  # seconds for one checking tool
DIGESTED = 64 << 10  # bytes of a file whose content counts; what is larger is data
ALL_DIGESTED = 4 << 20  # bytes of all files of one observation
NO_DIRECTORY = (FileNotFoundError, NotADirectoryError)
FORMAT = 2  # of the observation: contract.observation
SNAPSHOT_ID = re.compile(r"v1/snapshots/.+/id")  # a number in bytes, of which some are letters
DOCKER_FORMATS = {"docker": "docker", "containers-storage": "container"}  # metadata format -> prefix of device names
# Of containerd's databases: its thin devices, and what its snapshots are. Times are left out, they differ each run.
CONTAINERD_RECORDS = re.compile(r"devices/.+|v1/snapshots/.+/(id|kind|parent)")


@dataclass(frozen=True)
class Spec:
    """What to look at. All but `root` and `format` has the defaults that dockerd derives from its root."""

    root: str
    format: str  # "docker", "containers-storage", "containerd" or "none"
    pool_name: str
    base_name: str
    data: str  # file or block device below the pool
    metadata: str  # file or block device that holds the pool's metadata
    digests: bool
    after_shutdown: bool

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Spec":
        """The spec that a peer gave. Raises TypeError or KeyError when it is not one."""
        root, form = os.path.realpath(given["root"]), given.get("format", "none")
        prefix = device_prefix(root, DOCKER_FORMATS.get(form, "docker"))
        pool_name = given.get("pool_name") or f"{prefix}-pool"
        return cls(
            root=root,
            format=form,
            pool_name=pool_name,
            base_name=given.get("base_name") or f"{prefix}-base",
            data=given.get("data") or f"{root}/devicemapper/data",
            metadata=given.get("metadata") or f"{root}/devicemapper/metadata",
            digests=bool(given.get("digests")),
            after_shutdown=bool(given.get("after_shutdown")),
        )


def device_prefix(root: str, word: str) -> str:
    """What dockerd's device names begin with: the word, the root's device, its inode. '' where there is no root."""
    try:
        status = Path(root).stat()
    except OSError:
        return word
    return f"{word}-{os.major(status.st_dev)}:{os.minor(status.st_dev)}-{status.st_ino}"


def observe(spec: Spec, log: KernelLog, census: Census) -> dict[str, Any]:
    """The observation, as contract.observation.Observation."""
    gaps = Gaps()
    running = in_runs()
    rested = settle()
    devices = dm_devices(gaps)
    if not rested:
        _unrest(devices, gaps)
    loops = loop_devices()
    mounts = mount_table()
    texts = metadata_texts(spec, gaps)
    spec, known = located(spec, texts)
    pool, base = metadata.look(spec, devices, known, gaps)
    lines, complete = log.lines()
    if not complete:
        gaps.harness("kernel_log", "the kernel's log lost messages before they were read")
    return {
        "root": spec.root,
        "pool_name": spec.pool_name,
        "base_name": spec.base_name,
        "base_id": known.id if known else None,
        "dm": devices,
        "loops": loops,
        "mapper_nodes": mapper_nodes(gaps),
        "files": files(spec.root, {mount.target for mount in mounts}, gaps),
        "metadata": texts,
        "mounts": [
            {"source": mount.source, "target": mount.target, "fstype": mount.fstype, "options": mount.options}
            for mount in concerning(mounts, spec.root, {entry["device"] for entry in (*devices, *loops)})
        ],
        "semaphores": semaphores(),
        "processes": census.processes(running),
        "base": base,
        "pool": pool,
        "thin_check": thin_check(spec, devices, gaps) if spec.after_shutdown else None,
        "kernel_log": lines,
        "problems": gaps.problems,
        "unseen": gaps.unseen,
        "format": FORMAT,
    }


def located(spec: Spec, texts: Mapping[str, str]) -> tuple[Spec, metadata.BaseRecord | None]:
    """The spec with the base's name by the driver's metadata, and what those record of the base."""
    known = metadata.base_record(spec.format, texts)
    return (replace(spec, base_name=known.name) if known and known.name else spec), known


def settle() -> bool:
    """Wait for udevd to process what it has to, so that observations of one state are equal; whether it has."""
    end = time.monotonic() + SETTLE_LIMIT
    while UDEV_QUEUE.exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


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


def metadata_texts(spec: Spec, gaps: Gaps) -> dict[str, str]:
    """The text of each of the driver's records, by its path relative to the root: a file, or a key in a database."""
    if spec.format == "containerd":
        return containerd_texts(Path(spec.root), gaps)
    texts: dict[str, str] = {}
    if spec.format not in DOCKER_FORMATS:
        return texts
    waiting = [f"{spec.root}/metadata"]
    while waiting:
        directory = waiting.pop()
        with gaps.looking("metadata", f"the directory '{directory}' could not be read"), suppress(*NO_DIRECTORY):
            for entry in list(os.scandir(directory)):
                with gaps.looking("metadata", f"'{entry.path}' could not be read"), suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file():
                        text = Path(entry.path).read_text(encoding="utf-8", errors="replace")
                        texts[os.path.relpath(entry.path, spec.root)] = text
    return dict(sorted(texts.items()))


def containerd_texts(root: Path, gaps: Gaps) -> dict[str, str]:
    """The records in the databases of containerd's snapshotter."""
    texts: dict[str, str] = {}
    paths: list[Path] = []
    with gaps.looking("metadata", f"the directory '{root}' could not be read"):
        paths = sorted(root.glob("*.db"))
    for path in paths:
        with gaps.looking("metadata", f"the database '{path.name}' could not be read"):
            for key, value in bolt.read(path).items():
                if CONTAINERD_RECORDS.fullmatch(key):
                    texts[f"{path.name}/{key}"] = record_text(key, value)
    return texts


def record_text(key: str, value: bytes) -> str:
    """A value of containerd's as text, in hexadecimal digits where it is none."""
    is_text = value.isascii() and value[:1] >= b" " and not SNAPSHOT_ID.fullmatch(key)
    return value.decode() if is_text else value.hex()


def semaphores() -> list[int]:
    """Keys of the semaphores that udev cookies use."""
    lines = Path("/proc/sysvipc/sem").read_text(encoding="ascii").splitlines()[1:]
    keys = [int(line.split()[0]) & 0xFFFFFFFF for line in lines]
    return sorted(key for key in keys if key >> 16 == DM_COOKIE_MAGIC)


def thin_check(spec: Spec, devices: list[dict[str, Any]], gaps: Gaps) -> dict[str, Any] | None:
    """Check the pool's metadata, which nobody uses any more; thin_check without options only reads."""
    if metadata.live_pool(spec, devices) is not None:
        gaps.state("thin_check", f"the pool '{spec.pool_name}' is still active, so its metadata was not checked")
        return None
    with gaps.looking("thin_check", "the pool's metadata could not be checked"):
        if Path(spec.metadata).exists():
            ended = process.tool(["thin_check", spec.metadata], CHECK_LIMIT)
            return {"argv": ended.argv, "exit": ended.exit, "output": ended.output}
    return None
