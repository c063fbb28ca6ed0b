"""Readers of the metadata that drivers keep about their devices.

Format "docker" (which "containers-storage" shares): in one directory, a JSON file for each device named after its
hash, with the base as `base`; `transaction-metadata`, the transaction last opened; `deviceset-metadata`, what
concerns all devices. Names that begin with a dot are leftovers of interrupted writes, never devices.

Format "containerd": two databases, of which the probe gives each record as a text of its own. `<pool>.db` holds a JSON
object for each thin device, with its state; `metadata.db` holds the snapshots, which are what the devices are for.

Format "command": what the adapter's [records] command printed, of which the probe gives each volume as a text of its
own. Another package brings a format by an entry point of the group 'crashinit.records'.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import PurePosixPath
from typing import Any

from crashinit.contract.stated import volume

GROUP = "crashinit.records"  # of entry points: each names a Reader
COMMAND = "command"
STATED_TRANSACTION = "transaction"  # the path of the transaction that a [records] command told of
BASE = "base"
TRANSACTION = "transaction-metadata"
DEVICESET = "deviceset-metadata"
MIGRATED = ".migrated"
# containerd, snapshots/devmapper/device_info.go: DeviceState
ACTIVATED, FAULTY = 4, 13
# "<database>/v1/snapshots/<namespace>/<running number>/<name>/<field>"
SNAPSHOT_KEY = re.compile(r"(/v1/snapshots/[^/]+/)\d+/")


@dataclass(frozen=True)
class DeviceRecord:
    """What the driver records of one thin device."""

    name: str  # hash, or "base"
    path: str  # of its file, relative to the root
    device_id: int
    size: int  # bytes
    transaction_id: int
    initialized: bool
    deleted: bool


@dataclass(frozen=True)
class TransactionRecord:
    """The transaction that the driver opened last; closed if the pool's transaction id has reached it."""

    open_transaction_id: int
    device_hash: str  # "": the base
    device_id: int


@dataclass(frozen=True)
class DriverMetadata:
    """All that the driver's metadata says."""

    devices: Mapping[str, DeviceRecord]
    transaction: TransactionRecord | None
    base_uuid: str  # "": not recorded
    base_fstype: str
    unreadable: Mapping[str, str]  # by path, a sentence for each file that cannot be read
    keeps_uuid: bool = True  # whether the format has a place for the base's UUID

    @property
    def base(self) -> DeviceRecord | None:
        return self.devices.get(BASE)

    def name_of(self, thin_id: int) -> str:
        """The device that has this thin id, or "id N" if no record has it."""
        return next((d.name for d in self.devices.values() if d.device_id == thin_id), f"id {thin_id}")


def read_docker(texts: Mapping[str, str], directory: str) -> DriverMetadata:
    """Read the metadata files (text by path relative to the root) that lie in `directory`."""
    found: dict[str, DeviceRecord] = {}
    transaction: TransactionRecord | None = None
    deviceset: Mapping[str, Any] = {}
    unreadable: dict[str, str] = {}
    for path, text in sorted(texts.items()):
        place = PurePosixPath(path)
        name = place.name
        if place.parent != PurePosixPath(directory) or name.startswith(".") or name.endswith(MIGRATED):
            continue
        try:
            fields = read_object(text)
            if name == TRANSACTION:
                transaction = TransactionRecord(
                    _whole(fields, "open_transaction_id"), _text(fields, "device_hash"), _whole(fields, "device_id")
                )
            elif name == DEVICESET:
                _text(fields, "BaseDeviceUUID"), _text(fields, "BaseDeviceFilesystem")
                deviceset = fields
            else:
                found[name] = DeviceRecord(
                    name,
                    path,
                    _whole(fields, "device_id"),
                    _whole(fields, "size"),
                    _whole(fields, "transaction_id"),
                    _flag(fields, "initialized"),
                    _flag(fields, "deleted"),
                )
        except ValueError as error:
            unreadable[path] = f"'{path}' cannot be read: {error}"
    uuid, fstype = _text(deviceset, "BaseDeviceUUID"), _text(deviceset, "BaseDeviceFilesystem")
    return DriverMetadata(found, transaction, uuid, fstype, unreadable)


def read_containerd(texts: Mapping[str, str]) -> DriverMetadata:
    """Read the records of containerd's databases (text by path: the database's, then buckets and key).

    The base is the newest device without a parent that is not faulty. It counts as initialised when it was activated
    and a snapshot stands for it: only then does containerd hand it out.
    """
    found: list[DeviceRecord] = []
    roots: list[DeviceRecord] = []
    unreadable: dict[str, str] = {}
    snapshots = {_uvarint(text) for path, text in texts.items() if "/snapshots/" in path and path.endswith("/id")}
    for path, text in sorted(texts.items()):
        if "/devices/" not in path:
            continue
        try:
            fields = read_object(text)
            name, state = _text(fields, "name"), _whole(fields, "state")
            number = name.rpartition("-")[2]  # "<pool>-snap-<number of the snapshot>"
            ready = state == ACTIVATED and number.isdigit() and int(number) in snapshots
            device = DeviceRecord(
                name, path, _whole(fields, "device_id"), _whole(fields, "size"), 0, ready, deleted=False
            )
            found.append(device)
            if not _text(fields, "parent_name") and state != FAULTY:
                roots.append(device)
        except ValueError as error:
            unreadable[path] = f"'{path}' cannot be read: {error}"
    devices = {device.name: device for device in found}
    if roots:
        base = max(roots, key=lambda device: device.device_id)
        devices[BASE] = replace(devices.pop(base.name), name=BASE)
    return DriverMetadata(devices, None, "", "", unreadable, keeps_uuid=False)


def read_command(texts: Mapping[str, str]) -> DriverMetadata:
    """Read the volumes that the adapter's [records] command told of, each a text by the path 'volumes/NAME'."""
    found: dict[str, DeviceRecord] = {}
    unreadable: dict[str, str] = {}
    transaction: TransactionRecord | None = None
    uuid = fstype = ""
    keeps_uuid = True
    for path, text in sorted(texts.items()):
        try:
            if path == STATED_TRANSACTION:
                transaction = TransactionRecord(_number(text), "", 0)
                continue
            stated = volume(text)
            found[stated.name] = DeviceRecord(stated.name, path, stated.id, stated.size, 0, stated.ready, deleted=False)
            if stated.name == BASE:
                uuid, fstype, keeps_uuid = stated.uuid, stated.fstype, "uuid" in stated.model_fields_set
        except ValueError as error:
            unreadable[path] = f"the records' '{path}' cannot be read: {error}"
    return DriverMetadata(found, transaction, uuid, fstype, unreadable, keeps_uuid)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("it is no whole number")
    return int(text)


def steady(path: str) -> str:
    """A record's path without what names one init only: containerd counts its snapshots, also those that it gave up."""
    return SNAPSHOT_KEY.sub(r"\1*/", path)


def _uvarint(text: str) -> int:
    """A number as encoding/binary of Go writes it, from its bytes in hexadecimal digits; -1: it is none.

    Evidence of the first format has the one byte of 32 to 127 as a character.
    """
    if len(text) == 1:
        return ord(text)
    try:
        return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(bytes.fromhex(text)))
    except ValueError:
        return -1


def read_object(text: str) -> Mapping[str, Any]:
    """The JSON object in `text`. Raises ValueError with a phrase that says what is wrong."""
    if not text.strip():
        raise ValueError("it is empty")
    try:
        value = json.loads(text)
    except ValueError:
        raise ValueError("it is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def _whole(fields: Mapping[str, Any], key: str) -> int:
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"'{key}' is no whole number")
    return value


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"'{key}' is no text")
    return value


def _flag(fields: Mapping[str, Any], key: str) -> bool:
    value = fields.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"'{key}' is neither true nor false")
    return value


Reader = Callable[[Mapping[str, str], str], DriverMetadata]  # of texts by path, and the directory where files of it lie
FORMATS: dict[str, Reader] = {
    "none": lambda texts, directory: read_docker({}, directory),
    "docker": read_docker,
    "containers-storage": read_docker,
    "containerd": lambda texts, directory: read_containerd(texts),
    COMMAND: lambda texts, directory: read_command(texts),
}


@cache
def formats() -> Mapping[str, Reader]:
    """Every format by its name, those of other packages included."""
    return {**FORMATS, **{entry.name: entry.load() for entry in entry_points(group=GROUP)}}


def read(form: str, texts: Mapping[str, str], directory: str) -> DriverMetadata:
    """Read what the probe found of the driver's metadata, by their format; `directory` is where files of it lie."""
    return formats()[form](texts, directory)
