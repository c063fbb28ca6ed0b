"""A metadata file of the driver is damaged, empty or missing: init makes up for it, or refuses and touches nothing."""

from collections.abc import Callable

import pytest
from crashinit.adapters.driven import Driven
from crashinit.model.observation import Observation, Run

# Of each file a value of the wrong type: JSON, but not what a driver writes there.
WRONG = {
    "base": b'{"device_id":"one"}',
    "transaction-metadata": b'{"open_transaction_id":1,"device_hash":0,"device_id":1}',
    "deviceset-metadata": b'{"next_device_id":"two"}',
}
DAMAGES = (b"", b'{"device_id":', b"\0" * 100, b"[]")


def path(driven: Driven, name: str) -> str:
    """Where a metadata file lies in the machine."""
    return f"{driven.adapter.root}/metadata/{name}"


@pytest.mark.parametrize("name", WRONG)
def test_unreadable_file_is_refused(
    name: str, used: Driven, used_before: Observation, refuses: Callable[..., str], recovers: Callable[..., Run]
) -> None:
    """A file that is not what a driver writes is named and left alone: to guess could cost the user's data."""
    whole = used.machine.get(path(used, name))
    for damage in (*DAMAGES, WRONG[name]):
        used.machine.put(damage, path(used, name))
        refuses(used, f"'{path(used, name)}' is damaged", before=used_before)

    used.machine.put(whole, path(used, name), 0o600)
    recovers(used, before=used_before)


def test_missing_base_is_refused(used: Driven, refuses: Callable[..., str]) -> None:
    """Without the base's record the layers have no base; init does not make another one."""
    used.machine.run("rm", path(used, "base")).check()

    refuses(used, "'metadata/base' is missing")


def test_missing_base_alone_is_refused(driver: Driven, refuses: Callable[..., str]) -> None:
    """A root whose pool holds a base that nothing records is refused too, though no layer is recorded."""
    assert driver.init().exit == 0
    before = driver.observe(digests=True)
    driver.shutdown()
    driver.machine.run("rm", path(driver, "base")).check()

    refuses(driver, "'metadata/base' is missing", before=before)


@pytest.mark.parametrize("name", ["transaction-metadata", "deviceset-metadata"])
def test_missing_file_is_made_up_for(
    name: str, used: Driven, used_before: Observation, recovers: Callable[..., Run]
) -> None:
    """A closed transaction says nothing, and the base's identity can be read from the base: both may be lost."""
    used.machine.run("rm", path(used, name)).check()

    recovers(used, before=used_before)
