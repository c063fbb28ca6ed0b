"""One template for all tests here; each test gets a clone of it."""

from collections.abc import Iterator

import pytest
from crashinit.machine.protocol import Machine, Provider, Template


@pytest.fixture(scope="session")
def template(provider: Provider) -> Iterator[Template]:
    with provider.template() as template:
        yield template


@pytest.fixture
def machine(template: Template) -> Iterator[Machine]:
    """A fresh machine without a driver."""
    with template.clone() as machine:
        yield machine
