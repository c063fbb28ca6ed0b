"""The probe: looks at the system's storage state and leaves it as it found it.

Nothing here raises for a broken state: what could not be observed is a sentence in `problems`. Devices are looked
at before they are read, because a read from a suspended device never returns.
"""

import os
import re
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import bolt, dm, metadata, process
from .group import CGROUPS
from .kernel_log import KernelLog
from .names import below, read_text
from .uevents import CONTEXT

DM_COOKIE_MAGIC = 0x0D4D  # <libdevmapper.h>: upper half of the key of a udev cookie's semaphore
UDEV_QUEUE = Path("/run/udev/queue")  # there while udevd has events to process
SETTLE_LIMIT = 5.0  # seconds
CHECK_LIMIT = 30.0  # seconds for one checking tool
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


def observe(spec: Spec, log: KernelLog) -> dict[str, Any]:
    """The observation, as contract.observation.Observation."""
    problems: list[str] = []
    settle(problems)
    devices = dm_devices(problems)
    loops = loop_devices()
    mounts = mount_table()
    texts = metadata_texts(spec, problems)
    spec, known = located(spec, texts)
    pool, base = metadata.look(spec, devices, known, problems)
    lines, complete = log.lines()
    if not complete:
        problems.append("the kernel's log lost messages before they were read")
    return {
        "root": spec.root,
        "pool_name": spec.pool_name,
        "base_name": spec.base_name,
        "base_id": known.id if known else None,
        "dm": devices,
        "loops": loops,
        "mapper_nodes": sorted(node.name for node in Path("/dev/mapper").iterdir() if node.name != "control"),
        "files": files(spec.root, {target for _, _, target, *_ in mounts}, problems),
        "metadata": texts,
        "mounts": [
            {"source": source, "target": target, "fstype": fstype, "options": options}
            for device, source, target, fstype, options in mounts
            if (below(target, spec.root) and target != spec.root)
            or device in {entry["device"] for entry in (*devices, *loops)}
        ],
        "semaphores": semaphores(),
        "processes": processes(),
        "base": base,
        "pool": pool,
        "thin_check": thin_check(spec, devices, problems) if spec.after_shutdown else None,
        "kernel_log": lines,
        "problems": problems,
    }


def located(spec: Spec, texts: Mapping[str, str]) -> tuple[Spec, metadata.BaseRecord | None]:
    """The spec with the base's name by the driver's metadata, and what those record of the base."""
    known = metadata.base_record(spec.format, texts)
    return (replace(spec, base_name=known.name) if known and known.name else spec), known


def settle(problems: list[str]) -> None:
    """Wait until udevd has processed what it has to, so that two observations of one state are equal."""
    end = time.monotonic() + SETTLE_LIMIT
    while UDEV_QUEUE.exists():
        if time.monotonic() > end:
            problems.append(f"udevd did not process its events within {SETTLE_LIMIT:g} s")
            return
        time.sleep(0.005)


def dm_devices(problems: list[str]) -> list[dict[str, Any]]:
    """Every dm device, by name."""
    found = []
    for name in sorted(dm.names()):
        try:
            info = dm.info(name)
            if info is None:
                continue
            live = dm.table(name)
            inactive = dm.table(name, dm.DM_STATUS_TABLE_FLAG | dm.DM_QUERY_INACTIVE_TABLE_FLAG)
            status = dm.table(name, 0)
        except OSError as error:
            problems.append(f"the dm device '{name}' could not be observed: {error.strerror}")
            continue
        found.append(
            {
                "name": name,
                "uuid": info.uuid,
                "device": info.device,
                "suspended": info.suspended,
                "read_only": bool(info.flags & dm.DM_READONLY_FLAG),
                "open_count": info.open_count,
                "live_table": [str(line) for line in live],
                "inactive_table": [str(line) for line in inactive],
                "status": [str(line) for line in status],
                "registered": node_of(f"/dev/mapper/{name}") == info.device,
            }
        )
    return found


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


def mount_table() -> list[tuple[str, str, str, str, str]]:
    """("major:minor", source, target, type, options) of each mount (proc(5), mountinfo)."""
    table = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        left, _, right = line.partition(" - ")
        _id, _parent, device, _root, target, options, *_ = left.split(" ")
        fstype, source, _super = right.split(" ", 2)
        table.append((device, unescape(source), unescape(target), fstype, options))
    return table


def unescape(word: str) -> str:
    """A field of mountinfo without its octal escapes."""
    return word.encode("utf-8", "surrogateescape").decode("unicode_escape") if "\\" in word else word


def files(root: str, mounts: set[str], problems: list[str]) -> list[dict[str, Any]]:
    """Everything below the root, sorted; what is mounted there is not entered."""
    found: list[dict[str, Any]] = []
    waiting = [root]
    while waiting:
        directory = waiting.pop()
        try:
            entries = list(os.scandir(directory))
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"the directory '{directory}' could not be read: {error.strerror}")
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            kind = kind_of(status.st_mode)
            found.append(
                {
                    "path": os.path.relpath(entry.path, root),
                    "kind": kind,
                    "mode": stat.S_IMODE(status.st_mode),
                    "size": status.st_size if kind == "file" else 0,
                }
            )
            if kind == "dir" and entry.path not in mounts:
                waiting.append(entry.path)
    return sorted(found, key=lambda entry: str(entry["path"]))


def kind_of(mode: int) -> str:
    """What a file entry is called in the observation."""
    if stat.S_ISDIR(mode):
        return "dir"
    if stat.S_ISREG(mode):
        return "file"
    return "symlink" if stat.S_ISLNK(mode) else "other"


def metadata_texts(spec: Spec, problems: list[str]) -> dict[str, str]:
    """The text of each of the driver's records, by its path relative to the root: a file, or a key in a database."""
    if spec.format == "containerd":
        return containerd_texts(Path(spec.root), problems)
    if spec.format not in DOCKER_FORMATS:
        return {}
    directory = Path(spec.root) / "metadata"
    paths = sorted(path for path in directory.rglob("*") if path.is_file()) if directory.is_dir() else []
    return {str(path.relative_to(spec.root)): path.read_text(encoding="utf-8", errors="replace") for path in paths}


def containerd_texts(root: Path, problems: list[str]) -> dict[str, str]:
    """The records in the databases of containerd's snapshotter."""
    texts: dict[str, str] = {}
    for path in sorted(root.glob("*.db")):
        try:
            values = bolt.read(path)
        except (OSError, ValueError) as error:
            problems.append(f"metadata: the database '{path.name}' could not be read: {error}")
            continue
        for key, value in values.items():
            if CONTAINERD_RECORDS.fullmatch(key):
                texts[f"{path.name}/{key}"] = value.decode() if value.isascii() and value[:1] >= b" " else value.hex()
    return texts


def semaphores() -> list[int]:
    """Keys of the semaphores that udev cookies use."""
    lines = Path("/proc/sysvipc/sem").read_text(encoding="ascii").splitlines()[1:]
    keys = [int(line.split()[0]) & 0xFFFFFFFF for line in lines]
    return sorted(key for key in keys if key >> 16 == DM_COOKIE_MAGIC)


def processes() -> list[dict[str, Any]]:
    """What is alive of the driver's runs."""
    found = []
    for listing in sorted(CGROUPS.glob("**/cgroup.procs")):
        for pid in read_text(listing).split():
            name, argv = read_text(Path(f"/proc/{pid}/comm")), read_text(Path(f"/proc/{pid}/cmdline"))
            if name:
                found.append({"pid": int(pid), "name": name, "argv": argv.rstrip("\0").split("\0") if argv else []})
    return found


def thin_check(spec: Spec, devices: list[dict[str, Any]], problems: list[str]) -> dict[str, Any] | None:
    """Check the pool's metadata, which nobody uses any more; thin_check without options only reads."""
    if metadata.live_pool(spec, devices) is not None:
        problems.append(f"the pool '{spec.pool_name}' is still active, so its metadata was not checked")
        return None
    if not Path(spec.metadata).exists():
        return None
    try:
        ended = process.run(["thin_check", spec.metadata], timeout=CHECK_LIMIT)
    except OSError as error:
        problems.append(f"thin_check could not be run: {error}")
        return None
    if ended.timed_out:
        problems.append(f"thin_check did not end within {CHECK_LIMIT:g} s")
    return {"argv": ended.argv, "exit": ended.exit, "output": ended.output}
