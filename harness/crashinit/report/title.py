"""What a driver is called: in a heading, and in a line."""

from crashinit import adapters
from crashinit.errors import UsageError


def title(driver: str) -> str:
    """What the adapter calls the driver; its name, or the adapter's path, when the adapter is gone by now."""
    try:
        return adapters.load(driver).title
    except UsageError:
        return driver


def name(driver: str) -> str:
    """The name that the adapter gives the driver, also where a run names the adapter's file; that, when it is gone."""
    try:
        return adapters.load(driver).name
    except UsageError:
        return driver
