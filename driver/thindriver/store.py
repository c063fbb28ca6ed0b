"""The metadata directory: what dockerd 20.10 keeps there, byte for byte, but written durably.

`base` and `<id>` hold one device each, `transaction-metadata` the last transaction, `deviceset-metadata` the rest.
"""

from __future__ import annotations

import json
import os
import re

from .errors import DriverError, doing
from .kernel import bounded, fsync_path, make_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BASE = ""  # the id ("hash") of the base device; its file is called `base`
TRANSACTION_FILE = "transaction-metadata"
DEVICESET_FILE = "deviceset-metadata"
TEMPORARY = ".tmp"
MIGRATED = ".migrated"
MAX_DEVICE_ID = 0xFFFFFF  # the kernel's thin ids have 24 bits
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Device:
    """One thin device as recorded. `size` in bytes; `transaction_id` is the pool's after the device was made."""

    def __init__(
        self, hash: str, device_id: int, size: int, transaction_id: int, initialized: bool, deleted: bool = False
    ) -> None:
        self.hash = hash
        self.device_id = device_id
        self.size = size
        self.transaction_id = transaction_id
        self.initialized = initialized
        self.deleted = deleted  # dockerd's mark for a deletion it has put off

    def as_json(self) -> dict[str, Any]:
        return {
            "device_id": self.device_id,
            "size": self.size,
            "transaction_id": self.transaction_id,
            "initialized": self.initialized,
            "deleted": self.deleted,
        }


class Transaction:
    """The transaction that was opened last; still open while the pool's id is lower."""

    def __init__(self, open_id: int, hash: str, device_id: int) -> None:
        self.open_id = open_id
        self.hash = hash
        self.device_id = device_id

    def as_json(self) -> dict[str, Any]:
        return {"open_transaction_id": self.open_id, "device_hash": self.hash, "device_id": self.device_id}


def valid_id(id: str) -> bool:
    """Whether a layer may bear this name: it becomes the name of a file, a mount point and a dm device."""
    reserved = ("base", TRANSACTION_FILE, DEVICESET_FILE)
    return bool(ID.fullmatch(id)) and len(id) <= 100 and id not in reserved and not id.endswith(MIGRATED)


class Store:
    """The metadata of one root, in memory and on disk. Nothing is written before `prepare`."""

    def __init__(self, root: str) -> None:
        self.directory = os.path.join(root, "metadata")
        self.devices: dict[str, Device] = {}
        self.transaction: Transaction | None = None
        self.next_device_id = 0  # the id given out last, as dockerd counts
        self.base_uuid = ""
        self.base_filesystem = ""

    @property
    def base(self) -> Device | None:
        return self.devices.get(BASE)

    def load(self) -> None:
        """Read everything. Raises DriverError on a damaged or foreign file, which nothing here could repair."""
        with doing(f"list the directory '{self.directory}'"):
            try:
                names = sorted(os.listdir(self.directory))
            except FileNotFoundError:
                return
        for name in names:
            if name.startswith(TEMPORARY) or name.endswith(MIGRATED):
                continue
            if name == TRANSACTION_FILE:
                found = self._read(name, {"open_transaction_id": int, "device_hash": str, "device_id": int})
                self.transaction = Transaction(*found)
            elif name == DEVICESET_FILE:
                optional = {"next_device_id": 0, "BaseDeviceUUID": "", "BaseDeviceFilesystem": ""}
                found = self._read(name, {key: type(value) for key, value in optional.items()}, optional)
                self.next_device_id, self.base_uuid, self.base_filesystem = found
            elif name == "base" or valid_id(name):
                kinds = {"device_id": int, "size": int, "transaction_id": int, "initialized": bool, "deleted": bool}
                hash = BASE if name == "base" else name
                self.devices[hash] = Device(hash, *self._read(name, kinds, {"deleted": False}))
            else:
                raise DriverError(f"'{self.directory}/{name}' does not belong here: move it away")

    def _read(self, name: str, kinds: dict[str, type], missing: dict[str, Any] | None = None) -> list[Any]:
        path = os.path.join(self.directory, name)
        with doing(f"read '{path}'"), open(path, "rb") as file:
            content = file.read()
        try:
            found = {**(missing or {}), **json.loads(content)}
            values = [found[key] for key in kinds]
        except (ValueError, TypeError, KeyError) as error:
            why = "it is empty" if not content else f"it is not what a driver writes ({error})"
            raise DriverError(f"'{path}' is damaged, {why}: restore it from a backup") from error
        if any(type(value) is not kind for value, kind in zip(values, kinds.values(), strict=True)):
            raise DriverError(f"'{path}' is damaged, a value has the wrong type: restore it from a backup")
        return values

    def prepare(self) -> None:
        """Make the directory, drop what interrupted writes left, and make durable what is there."""
        make_directory(self.directory, 0o700)
        with doing(f"clean the directory '{self.directory}'"):
            for name in sorted(os.listdir(self.directory)):
                if name.startswith(TEMPORARY):
                    os.unlink(os.path.join(self.directory, name))
            fsync_path(self.directory)  # a rename whose writer was killed may not be durable yet

    def save_device(self, device: Device) -> None:
        """Record a device."""
        self._write(device.hash or "base", device.as_json())
        self.devices[device.hash] = device

    def save_transaction(self, transaction: Transaction) -> None:
        """Record a transaction; it is open as soon as this returns."""
        self._write(TRANSACTION_FILE, transaction.as_json())
        self.transaction = transaction

    def save_deviceset(self) -> None:
        """Record the id counter and the identity of the base."""
        self._write(
            DEVICESET_FILE,
            {
                "next_device_id": self.next_device_id,
                "BaseDeviceUUID": self.base_uuid,
                "BaseDeviceFilesystem": self.base_filesystem,
            },
        )

    def drop_device(self, hash: str) -> None:
        """Forget a device; one that is not recorded is fine."""
        path = os.path.join(self.directory, hash or "base")
        with doing(f"remove '{path}'"):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            fsync_path(self.directory)
        self.devices.pop(hash, None)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        data = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        path = os.path.join(self.directory, name)
        temporary = os.path.join(self.directory, f"{TEMPORARY}0")  # one name is enough: we hold the root's lock
        with doing(f"write '{path}'"):
            if _content(path) == data:
                return
            try:
                fd = bounded(os.open, temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                try:
                    if bounded(os.write, fd, data) != len(data):
                        raise OSError(28, os.strerror(28))  # ENOSPC: so small a write is only cut by a full disk
                    bounded(os.fsync, fd)
                finally:
                    os.close(fd)
                os.rename(temporary, path)
            except OSError:
                try:
                    os.unlink(temporary)
                except OSError:
                    pass  # the next init removes it
                raise
            fsync_path(self.directory)


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
