"""Shutdown: nothing of a root stays mounted, mapped or attached; its files stay."""

from __future__ import annotations

from . import dm, kernel, loop
from .deviceset import DeviceSet, warn
from .errors import DriverError, doing


def shutdown(devices: DeviceSet) -> None:
    """Take everything down, also what a crash left half-made. Repeating it is fine; so is a missing root."""
    root = devices.root
    if not root.acquire(create=False):
        return
    save_counter(devices)
    for point in kernel.mounts_below(root.mounts):
        with doing(f"unmount '{point}'"):
            kernel.unmount(point)
    names = [name for name in dm.names(f"{root.prefix}-") if name != devices.pool_name]
    if not devices.options.pool and dm.info(devices.pool_name):
        names.append(devices.pool_name)
    for name in names:
        remove(name, "thin-pool" if name == devices.pool_name else "thin")
    for name in ("data", "metadata"):
        wait_detached(root.image(name))


def save_counter(devices: DeviceSet) -> None:
    """Record the last id given out, first of all, as dockerd does: the caller may be short of time."""
    store = devices.store
    try:
        store.load()
    except DriverError as error:  # damaged metadata must not keep devices alive
        warn(str(error))
        return
    if store.base and store.base_uuid:
        store.next_device_id = max(store.next_device_id, *(device.device_id for device in store.devices.values()))
        store.save_deviceset()


def remove(name: str, kind: str) -> None:
    """Remove a device of ours. Raises DriverError when its target shows that it is somebody else's."""
    found = dm.info(name)
    if found and found.live:
        if any(target.kind != kind for target in dm.table(name)):
            raise DriverError(f"the device '{name}' has no target of type '{kind}', so it is not ours to remove")
        if found.suspended:
            dm.resume(name)
    dm.remove(name)


def wait_detached(path: str) -> None:
    """Wait until the file is attached no longer; what has no autoclear is detached by hand."""
    asked: set[str] = set()

    def gone() -> bool:
        loops = loop.attached(path)
        for found in loops:
            if not found.flags & loop.LO_FLAGS_AUTOCLEAR and found.device not in asked:
                asked.add(found.device)
                found.detach()
            found.close()
        return not loops

    if not kernel.wait_until(gone):
        raise DriverError(f"'{path}' is still attached to a loop device that somebody holds open")
