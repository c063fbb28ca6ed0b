"""Layers: snapshots of the base or of each other, the least that lets a pool hold a user's data."""

from __future__ import annotations

import os

from . import base, dm, kernel, transactions
from .deviceset import DeviceSet
from .errors import DriverError, UsageError, doing
from .store import BASE, Device, valid_id


class Layers:
    """The layers of an initialised root."""

    def __init__(self, devices: DeviceSet) -> None:
        self.devices = devices
        self.store = devices.store

    def _find(self, id: str) -> Device:
        if id not in self.store.devices or id == BASE:
            raise DriverError(f"there is no layer '{id}'")
        return self.store.devices[id]

    def _mount_point(self, id: str) -> str:
        return os.path.join(self.devices.root.mounts, id)

    def _is_mounted(self, id: str) -> bool:
        return self._mount_point(id) in kernel.mounts_below(self.devices.root.mounts)

    def create(self, id: str, parent: str = BASE) -> None:
        """Make a layer as a snapshot of `parent`."""
        check_id(id)
        self.devices.open()
        if id in self.store.devices:
            raise DriverError(f"the layer '{id}' exists already")
        origin = self._find(parent) if parent else self.store.devices[BASE]
        name = self.devices.device_name(parent)
        active = dm.info(name)
        if active:  # the kernel wants an active origin held still
            dm.suspend(name)
        try:
            transactions.create_device(self.devices.pool, self.store, id, origin.size, origin, initialized=True)
        finally:
            if active:
                dm.resume(name)

    def get(self, id: str) -> str:
        """Activate and mount a layer; returns its mount point. A mounted one stays as it is."""
        check_id(id)
        self.devices.open()
        layer = self._find(id)
        point = self._mount_point(id)
        if self._is_mounted(id):
            return point
        kernel.make_directory(self.devices.root.mounts, 0o700)
        kernel.make_directory(point, 0o755)
        device = self.devices.activate(layer)
        filesystem, _ = base.identify(device)
        # A snapshot has its origin's UUID, and xfs mounts each UUID once only.
        options = [*(["nouuid"] if filesystem == "xfs" else []), *self.devices.options.mount_options]
        with doing(f"mount the layer '{id}' on '{point}'"):
            kernel.mount(kernel.device_path(device), point, filesystem, ",".join(options))
        return point

    def put(self, id: str) -> None:
        """Unmount and deactivate a layer; repeating it is fine."""
        check_id(id)
        self.devices.open()
        self._find(id)
        self._release(id)

    def _release(self, id: str) -> None:
        if self._is_mounted(id):
            with doing(f"unmount the layer '{id}'"):
                kernel.unmount(self._mount_point(id))
        self.devices.deactivate(id)
        with doing(f"remove '{self._mount_point(id)}'"):
            if os.path.isdir(self._mount_point(id)):
                os.rmdir(self._mount_point(id))

    def remove(self, id: str) -> None:
        """Delete a layer and, unless dm.blkdiscard is off, give its space back to the pool's data device."""
        check_id(id)
        self.devices.open()
        layer = self._find(id)
        self._release(id)
        pool = self.devices.pool
        transactions.begin_delete(pool, self.store, layer)  # before the discard: never listed and half discarded
        if self.devices.options.discard:
            fd = kernel.open_device(self.devices.activate(layer, dm.UDEV_NOTHING), os.O_RDWR)
            try:
                with doing(f"discard the layer '{id}'"):
                    kernel.discard(fd)
            finally:
                os.close(fd)
            self.devices.deactivate(id)
        transactions.finish_delete(pool, self.store, layer)


def check_id(id: str) -> None:
    """Raise UsageError for a name that cannot be a layer's."""
    if not valid_id(id):
        raise UsageError(f"'{id}' cannot name a layer: use letters, digits, '_', '.' and '-', at most 100")
