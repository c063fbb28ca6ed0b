"""The records of drivers like Docker's, and of containerd's snapshotter, and where they say that the base is."""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from crashinit.guest import records
from crashinit.guest.gaps import Gaps
from crashinit.guest.probe import Spec
from crashinit.guest.thin import BaseRecord, Where

from . import bolt

DOCKER_FORMATS = {"docker": "docker", "containers-storage": "container"}  # format -> prefix of device names
NO_DIRECTORY = (FileNotFoundError, NotADirectoryError)
SNAPSHOT_ID = re.compile(r"v1/snapshots/.+/id")  # a number in bytes, of which some are letters
# Of containerd's databases: its thin devices, and what its snapshots are. Times are left out, they differ each run.
CONTAINERD_RECORDS = re.compile(r"devices/.+|v1/snapshots/.+/(id|kind|parent)")
FAULTY = 13  # containerd's snapshots/devmapper, DeviceState: a device that an interruption left half-made


def device_prefix(root: str, word: str) -> str:
    """What dockerd's device names begin with: the word, the root's device, its inode. '' where there is no root."""
    try:
        status = Path(root).stat()
    except OSError:
        return word
    return f"{word}-{os.major(status.st_dev)}:{os.minor(status.st_dev)}-{status.st_ino}"


def located(spec: Spec, told: Mapping[str, str]) -> tuple[Where, BaseRecord | None]:
    """Where pool and base are, and what the driver's records say of the base. What the adapter does not name is as
    dockerd derives it from its root."""
    given = spec.given
    prefix = device_prefix(spec.root, DOCKER_FORMATS.get(spec.format, "docker"))
    where = Where(
        pool_name=given.get("pool_name") or f"{prefix}-pool",
        base_name=given.get("base_name") or f"{prefix}-base",
        data=given.get("data") or f"{spec.root}/devicemapper/data",
        metadata=given.get("metadata") or f"{spec.root}/devicemapper/metadata",
        digests=spec.digests,
    )
    known = records.base_of(dict(told)) if spec.records else base_record(spec.format, told)
    return (replace(where, base_name=known.name) if known and known.name else where), known


def base_record(form: str, texts: Mapping[str, str]) -> BaseRecord | None:
    """The base as the driver's metadata record it; None if they do not, or not legibly.

    A Docker-like driver does so in metadata/base. For containerd it is the snapshot without a parent that works.
    """
    try:
        if form == "containerd":
            devices = [json.loads(text) for path, text in texts.items() if "/devices/" in path]
            working = [data for data in devices if not data["parent_name"] and data["state"] != FAULTY]
            data = max(working, key=lambda data: int(data["device_id"]))
            return BaseRecord(int(data["device_id"]), int(data["size"]), str(data["name"]))
        data = json.loads(texts["metadata/base"])
        return BaseRecord(int(data["device_id"]), int(data["size"]))
    except (KeyError, TypeError, ValueError):
        return None


def texts_of(spec: Spec, gaps: Gaps) -> dict[str, str]:
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
