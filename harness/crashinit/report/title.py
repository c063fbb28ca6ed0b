"""What a driver is called in a heading."""

from crashinit import adapters
from crashinit.errors import UsageError


def title(driver: str) -> str:
    """What the adapter calls the driver; its name, or the adapter's path, when the adapter is gone by now."""
    try:
        return adapters.load(driver).title
    except UsageError:
        return driver
