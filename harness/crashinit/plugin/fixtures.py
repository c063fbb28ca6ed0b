"""What a scenario in plain Python works with: the fixtures `machine`, `driver` and `host`."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def crashinit_runner(pytestconfig: pytest.Config) -> Iterator[Any]:
    """The TrialRunner of this process: templates with the driver installed, cloned for each test."""
    campaign = pytestconfig.pluginmanager.get_plugin("crashinit-campaign")
    if campaign is None:
        pytest.fail("this test needs a driver: give '--crashinit-driver', for example 'reference'.", pytrace=False)
    yield campaign.runner()


@pytest.fixture
def machine(crashinit_runner: Any) -> Iterator[Any]:
    """A fresh machine in which the driver is installed and has never run (a machine.protocol.Machine)."""
    with crashinit_runner.driver_template().clone(forkable=True) as machine:
        machine.call("mark")
        yield machine


@pytest.fixture
def driver(crashinit_runner: Any, machine: Any) -> Any:
    """The driver in that machine (a driven.Driven): init, shutdown, observe, exercise."""
    from crashinit.adapters.driven import Driven
    from crashinit.model.trial import Setup

    return Driven(machine, crashinit_runner.adapter, Setup("fresh", (), 60.0))


@pytest.fixture
def host(machine: Any) -> Any:
    """testinfra's host, carried by the guest agent of that machine."""
    from crashinit.machine.host import host_of

    return host_of(machine)
