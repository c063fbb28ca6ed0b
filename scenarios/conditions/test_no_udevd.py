"""No udevd answers: a re-init recovers all the same, and udevd, back again, spoils nothing."""

from collections.abc import Callable

import pytest
from crashinit.adapters.driven import Driven
from crashinit.model.observation import Run


@pytest.mark.parametrize("boundary", ["dm.resume pool#1", "exec mkfs.ext4#1", "dm.remove base#1"])
def test_reinit_without_udevd(
    boundary: str,
    driver: Driven,
    shell: Callable[[str], str],
    killed_at: Callable[..., Run],
    recovers: Callable[..., Run],
) -> None:
    """Killed there, and started again while udevd stands still, the driver recovers."""
    killed_at(driver, boundary)
    shell("udevadm settle; pkill -STOP systemd-udevd")
    run = driver.init()
    shell("pkill -CONT systemd-udevd; udevadm settle")

    recovers(driver, run=run)
