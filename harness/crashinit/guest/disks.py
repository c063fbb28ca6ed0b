"""Disks that are plugged into the running machine."""

import time
from pathlib import Path

from .names import read_text

PAUSE = 0.005  # seconds between two looks


def node(serial: str, timeout: float) -> str:
    """The node of the virtio disk with that serial number, once there is one. Raises TimeoutError."""
    end = time.monotonic() + timeout
    while True:
        for file in Path("/sys/block").glob("vd*/serial"):
            path = Path("/dev") / file.parent.name
            if read_text(file).strip() == serial and path.is_block_device():
                return str(path)
        if time.monotonic() > end:
            raise TimeoutError(f"no disk '{serial}' within {timeout:g} s")
        time.sleep(PAUSE)
