"""A network of the test's own, which needs root."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .hosts import Network, network


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Network]:
    """A scheduler at one address, and no host yet."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with network(tmp_path) as made:
        yield made
