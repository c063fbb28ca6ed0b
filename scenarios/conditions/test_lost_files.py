"""The file below the pool's data or metadata is lost: init refuses and touches nothing, live pool or not."""

from collections.abc import Callable

import pytest
from crashinit.adapters.driven import Driven
from crashinit.model.observation import Observation, Run


def path(driven: Driven, name: str) -> str:
    """Where a sparse file lies in the machine."""
    return f"{driven.adapter.root}/devicemapper/{name}"


def test_lost_data_is_refused(
    used: Driven,
    used_before: Observation,
    shell: Callable[[str], str],
    refuses: Callable[..., str],
    recovers: Callable[..., Run],
) -> None:
    """A data file that is missing, empty, or shorter than the pool is not made anew, nor grown over what it lost."""
    data = path(used, "data")
    shell(f"mv {data} /var/lib/kept")
    refuses(used, f"'{data}' is missing", before=used_before)
    shell(f"touch {data}")
    refuses(used, f"'{data}'", "empty")
    shell(f"truncate --size=64M {data}")
    refuses(used, f"'{data}' was cut short")

    shell(f"mv /var/lib/kept {data}")
    recovers(used, before=used_before)


def test_lost_metadata_is_refused(
    used: Driven,
    used_before: Observation,
    shell: Callable[[str], str],
    refuses: Callable[..., str],
    recovers: Callable[..., Run],
) -> None:
    """A metadata file that is missing, empty, blank or foreign is never handed to the kernel, which would format it."""
    metadata = path(used, "metadata")
    shell(f"mv {metadata} /var/lib/kept")
    refuses(used, f"'{metadata}' is missing")
    shell(f"touch {metadata}")
    refuses(used, f"'{metadata}'", "empty")
    shell(f"truncate --size=16M {metadata}")
    refuses(used, f"'{metadata}' is blank")
    shell(f"dd if=/dev/urandom of={metadata} bs=4096 count=1 conv=notrunc")
    refuses(used, f"'{metadata}' holds something that is not a thin pool's metadata")

    shell(f"mv /var/lib/kept {metadata}")
    recovers(used, before=used_before)


@pytest.mark.parametrize("name", ["data", "metadata"])
def test_lost_file_of_a_live_pool_is_refused(name: str, driver: Driven, refuses: Callable[..., str]) -> None:
    """A pool that lives on a file without a name is not taken for the root's."""
    assert driver.init().exit == 0
    driver.machine.run("rm", path(driver, name)).check()

    refuses(driver, path(driver, name))
