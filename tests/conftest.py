"""Fixtures for the tests that need a machine. They all share the image and the template in the cache."""

import signal
import threading
from collections.abc import Iterator

import pytest
from crashinit.machine.protocol import Provider
from crashinit.machine.provider import get_provider

pytest_plugins = ["tests.turns", "tests.alarms", "tests.mutants.score", "tests.observer.option"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-guests", action="store_true", help="build the images of guests that tests would pass over")


def pytest_configure() -> None:
    """Tests send signals that a shell ignores for what it starts in its background, and nohup(1) likewise."""
    if threading.current_thread() is threading.main_thread():
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    """Machines in real time, which take further disks; those in virtual time have tests of their own."""
    qemu = get_provider("qemu-real")
    yield qemu
    qemu.close()
