"""Whether udevd is at rest: it has processed every event that it has taken."""

import time
from pathlib import Path

UDEV_QUEUE = Path("/run/udev/queue")  # there while udevd has events to process


def is_at_rest() -> bool:
    return not UDEV_QUEUE.exists()


def settle(limit: float, pause: float = 0.005) -> bool:
    """Wait for udevd to be at rest, for so many seconds, with a look each `pause` seconds; whether it is."""
    end = time.monotonic() + limit
    while not is_at_rest():
        if time.monotonic() >= end:
            return False
        time.sleep(pause)
    return True
