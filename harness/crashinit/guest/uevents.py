"""The kernel's and udev's events about block devices while a gated run goes on (pyudev monitors)."""

from typing import Any

import pyudev

from . import dm
from .names import dm_object

CONTEXT = pyudev.Context()
SOURCES = ("kernel", "udev")


class Uevents:
    """Listens from its creation to close(); times are the caller's, of the moment when an event is taken."""

    def __init__(self) -> None:
        self._taken: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}
        self._monitors: dict[int, tuple[str, Any]] = {}
        for source in SOURCES:
            monitor = pyudev.Monitor.from_netlink(CONTEXT, source=source)
            monitor.filter_by("block")
            monitor.start()
            self._monitors[monitor.fileno()] = (source, monitor)

    def filenos(self) -> list[int]:
        """Descriptors that become readable when there is an event."""
        return list(self._monitors)

    def take(self, fileno: int, seconds: float) -> None:
        """Take the events that wait at a descriptor."""
        source, monitor = self._monitors[fileno]
        while (device := monitor.poll(timeout=0)) is not None:
            name = self._dm_name(device)
            self._taken.append(
                {
                    "seconds": round(seconds, 9),
                    "source": source,
                    "action": str(device.action),
                    "sysname": device.sys_name,
                    "dm_name": dm_object(name),
                }
            )

    def seen(self, seconds: float) -> list[dict[str, Any]]:
        """All events so far, in order, each as contract.observation.Uevent."""
        for fileno in self._monitors:
            self.take(fileno, seconds)
        return list(self._taken)

    def close(self) -> None:
        """Stop listening."""
        self._monitors.clear()  # libudev closes a monitor's socket with its last reference

    def _dm_name(self, device: Any) -> str:
        """The device's dm name, of the kernel itself: sysfs does not have it yet when the first event comes.

        A remove event comes when nobody tells it any more, so what was seen is kept.
        """
        if not device.sys_name.startswith("dm-"):
            return ""
        name = device.properties.get("DM_NAME") or (
            dm.name_of(device.device_number, "") if device.action != "remove" else ""
        )
        name = str(name or self._names.get(device.sys_name, ""))
        self._names[device.sys_name] = name
        return name
