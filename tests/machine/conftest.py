"""The base template, built once and shared through the cache on disk."""

from collections.abc import Iterator

import pytest
from crashinit.machine.protocol import Machine, Provider, Template


@pytest.fixture(scope="session")
def template(provider: Provider) -> Iterator[Template]:
    with provider.template() as base:
        yield base


@pytest.fixture
def clone(template: Template) -> Iterator[Machine]:
    with template.clone() as machine:
        yield machine
