"""One template for all tests here; each test gets a clone of it."""

from collections.abc import Iterator

import pytest
from crashinit import families
from crashinit.adapters.adapter import part
from crashinit.machine.protocol import Machine, Provider, Template
from crashinit.machine.upload import upload


@pytest.fixture(scope="session")
def template(provider: Provider) -> Iterator[Template]:
    """With the part of the probe that looks at thin pools."""
    with (
        provider.template() as plain,
        plain.derive(lambda machine: upload(machine, [part(families.load())])) as template,
    ):
        yield template


@pytest.fixture
def machine(template: Template) -> Iterator[Machine]:
    """A fresh machine without a driver."""
    with template.clone() as machine:
        yield machine
