"""The files below a pool that was shut down have grown: the pool grows with them, and keeps what it holds."""

from collections.abc import Callable

import pytest
from crashinit.adapters.driven import Driven
from crashinit.model.observation import Observation

MORE = 512 << 20  # bytes


@pytest.mark.parametrize("name", ["data", "metadata"])
def test_a_pool_grows_with_its_file(
    name: str,
    used: Driven,
    used_before: Observation,
    shell: Callable[[str], str],
    broken: Callable[..., dict[str, str]],
) -> None:
    """An operator makes room with truncate(1); init takes it over, whichever of the two files it is."""
    path = f"{used.adapter.root}/devicemapper/{name}"
    size = int(shell(f"truncate --size=+{MORE} {path}; stat --format=%s {path}"))

    assert used.init().exit == 0
    pool = shell("dmsetup status --target thin-pool | awk '{ print $6, $7 }'").replace("/", " ").split()
    totals = {"metadata": int(pool[1]) * 4096, "data": int(pool[3]) * 65536}
    assert totals[name] == size
    used.shutdown()

    # The size is not the one that the options ask for, and nothing else is wrong.
    assert broken(used, used.init(), used_before).keys() == {"C03", "C13"}
