"""Machines for the tests of power cuts."""

from collections.abc import Iterator

import pytest
from crashinit.machine.protocol import Provider, Template


@pytest.fixture(scope="session")
def template(provider: Provider) -> Iterator[Template]:
    with provider.template() as template:
        yield template
