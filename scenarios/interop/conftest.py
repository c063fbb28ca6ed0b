"""Two drivers in one machine, on one root: thindriver, and dockerd with its devicemapper driver.

They share the names of devices and the format of metadata, so each should take over what the other has made.
"""

from collections.abc import Iterator

import pytest
from crashinit.adapters import Adapter, load
from crashinit.machine.protocol import Machine, Template
from crashinit.machine.provider import get_provider


@pytest.fixture(scope="session")
def adapters() -> dict[str, Adapter]:
    """The two drivers by name, with the same root and the same options."""
    dockerd, reference = load("dockerd"), load("reference")
    shared = {"root": dockerd.root, "options": reference.options}
    return {"dockerd": dockerd, "reference": reference.model_copy(update=shared)}


@pytest.fixture(scope="session")
def both(adapters: dict[str, Adapter]) -> Iterator[Template]:
    """A machine in which both are installed and neither has run."""

    def install(machine: Machine) -> None:
        for adapter in adapters.values():
            adapter.installed(machine)

    packages = {package for adapter in adapters.values() for package in adapter.install.packages}
    with get_provider("qemu").template(tuple(packages)) as base, base.derive(install) as template:
        yield template


@pytest.fixture
def machine(both: Template) -> Iterator[Machine]:
    """A fresh one of these machines."""
    with both.clone() as machine:
        machine.call("mark")
        yield machine
