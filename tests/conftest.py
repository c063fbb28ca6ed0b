"""Fixtures for the tests that need a machine. They all share the image and the template in the cache."""

from collections.abc import Iterator

import pytest
from crashinit.machine.protocol import Provider
from crashinit.machine.provider import get_provider

pytest_plugins = ["tests.alarms", "tests.mutants.score", "tests.observer.option"]


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    """Machines in real time, which take further disks; those in virtual time have tests of their own."""
    qemu = get_provider("qemu-real")
    yield qemu
    qemu.close()
