"""What the facts of a machine hold."""

import tempfile
from pathlib import Path

from crashinit.guest import facts


def test_a_tree_reaches_into_what_is_mounted_there() -> None:
    """What a driver has on a file system that is mounted below its root counts like the rest of the root."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        assert Path("/dev/shm").stat().st_dev != Path("/dev").stat().st_dev
        found = [entry[0] for entry in facts.tree("/dev", across=True)]
        own = [entry[0] for entry in facts.tree("/dev")]

        assert file.name in found
        assert file.name not in own
