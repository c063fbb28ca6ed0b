"""The clause on the users' data."""

from typing import Any

import pytest
from crashinit.contract.data import volumes_lost
from crashinit.contract.judge import judge
from crashinit.contract.verdict import NotSeenError
from crashinit.model.observation import Evidence, PoolMetadata, Volume

from tests.contract.builder import (
    EXPECTATION,
    FAMILY,
    Change,
    change_part,
    evidence,
    failed,
    observe,
    reference,
    replace,
    spoil,
    spoil_again,
    unlink,
    write,
)

USED = observe(user_data=True)


def change_layer(**changes: Any) -> Change:
    """Change fields of the users' thin device."""
    assert USED.pool is not None
    base, layer = USED.pool.thin_devices
    return change_part("pool", thin_devices=[base, layer.model_copy(update=changes)])


def used() -> Evidence:
    return evidence(user_data=True)


def test_kept_data_pass_c12() -> None:
    """The same digest and the same record before and after are kept data."""
    assert judge(used(), reference(user_data=True), EXPECTATION, FAMILY)["C12"].status == "pass"


def test_a_fresh_root_has_nothing_to_keep() -> None:
    """Without a state before the fault the clause is n/a, not passed."""
    assert judge(evidence(), reference(), EXPECTATION, FAMILY)["C12"].status == "n/a"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([change_layer(digest="d2")], "the data of device 'layer' has changed"),
        ([unlink("metadata/layer")], "the record 'metadata/layer' of device 'layer' is gone"),
        ([write("metadata/layer", size=1)], "the record 'metadata/layer' of device 'layer' has changed"),
        ([write("metadata/base", device_id=2)], "the base has thin id 2, not 1"),
        ([change_part("base", uuid="other")], "the base's UUID was"),
    ],
    ids=["bytes", "record lost", "record changed", "base replaced", "base made anew"],
)
def test_lost_data_fail_c12(changes: list[Change], said: str) -> None:
    """Each byte, record and the base under them outlive the fault."""
    assert said in failed(spoil(used(), *changes), against=reference(user_data=True))["C12"]


def test_changed_bytes_fail_c12_alone() -> None:
    """Nothing but the digest tells of a byte that changed."""
    assert {"C12"} == failed(spoil(used(), change_layer(digest="d2")), against=reference(user_data=True)).keys()


def test_data_that_one_more_init_destroys_fail_c12() -> None:
    """An init that recovers and a next one that wipes the users' device is no recovery; C11 sees the change as well."""
    failures = failed(
        spoil_again(used(), change_layer(digest="DESTROYED", mapped_blocks=0)), against=reference(user_data=True)
    )

    assert failures["C12"] == "after one more init the data of device 'layer' has changed"
    assert failures.keys() == {"C11", "C12"}


@pytest.mark.parametrize("changes", [{"digest": "d2"}, {"mapped_blocks": 0}], ids=["bytes", "blocks"])
def test_a_users_device_that_one_more_init_changes_fails_c11(changes: dict[str, Any]) -> None:
    """Only of the base, which each start writes to, blocks and bytes may differ."""
    assert "C11" in failed(spoil_again(used(), change_layer(**changes)), against=reference(user_data=True))
    assert USED.pool is not None
    base = change_part(
        "pool", thin_devices=[USED.pool.thin_devices[0].model_copy(update=changes), USED.pool.thin_devices[1]]
    )
    assert failed(spoil_again(used(), base), against=reference(user_data=True)) == {}


def test_a_device_that_one_more_init_deletes_fails_c12() -> None:
    """The state after one more init is asked for all that the state after the re-init is."""
    assert USED.pool is not None
    gone = [change_part("pool", thin_devices=USED.pool.thin_devices[:1]), unlink("metadata/layer")]

    assert "after one more init device 'layer'" in failed(spoil_again(used(), *gone), against=used())["C12"]


def test_a_lost_device_fails_c12() -> None:
    """A thin device that is gone from the pool is lost data, whatever the record says."""
    assert isinstance(USED.pool, PoolMetadata)
    gone = change_part("pool", thin_devices=USED.pool.thin_devices[:1])

    assert "device 'layer' with thin id 7 is gone" in failed(spoil(used(), gone), against=used())["C12"]


def test_data_that_were_not_read_are_no_pass() -> None:
    """Without digests nothing can be compared, and that is the harness's fault."""
    verdict = judge(spoil(used(), change_layer(digest="")), reference(user_data=True), EXPECTATION, FAMILY)["C12"]

    assert (verdict.status, verdict.unseen) == ("fail", True)


def test_a_root_without_a_pool_had_nothing_to_keep() -> None:
    """A fault before the first pool was made can have lost nothing."""
    empty = replace(USED, pool=None, base=None, metadata={})
    verdict = judge(used().model_copy(update={"before": empty}), reference(), EXPECTATION, FAMILY)["C12"]

    assert verdict.status == "n/a"


def test_recorded_devices_whose_pool_was_not_read_are_no_pass() -> None:
    """Devices were on record, so there was something to keep, and nobody looked at it."""
    unread = replace(USED, pool=None)
    verdict = judge(used().model_copy(update={"before": unread}), reference(), EXPECTATION, FAMILY)["C12"]

    assert (verdict.status, verdict.unseen) == ("fail", True)


def test_a_base_that_was_not_ready_may_be_made_anew() -> None:
    """Nothing can be a snapshot of a base that was not initialised, so its id and UUID may change."""
    unready = write("metadata/base", initialized=False, device_id=1)(USED)
    moved = spoil(used(), change_part("base", uuid="new"), write("metadata/deviceset-metadata", BaseDeviceUUID="new"))

    assert failed(moved.model_copy(update={"before": unready}), against=used()) == {}


def test_data_of_a_driver_with_unknown_metadata_are_compared_by_id() -> None:
    """Where nothing says which id is what, the bytes of each thin device but the base are compared."""
    unknown = EXPECTATION.model_copy(update={"metadata_format": "none"})

    assert failed(used(), unknown, used()) == {}
    assert failed(spoil(used(), change_layer(digest="d2")), unknown, used()).keys() == {"C12"}


HELD = Volume(name="v", place="", uuid="u", digest="d")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ([HELD], []),
        ([], ["volume 'v' is gone"]),
        ([HELD.model_copy(update={"uuid": "w"})], ["the UUID of volume 'v' was 'u' and is 'w'"]),
        ([HELD.model_copy(update={"digest": "e"})], ["the data of volume 'v' has changed"]),
    ],
)
def test_a_volume_is_held_against_what_it_was(now: list[Volume], said: list[str]) -> None:
    """By its name: whether it is there, whose file system it is, and what is in it."""
    before, after = (observe().model_copy(update={"volumes": volumes}) for volumes in ([HELD], now))

    assert volumes_lost(before, after) == said


def test_a_volume_that_was_not_read_is_not_compared() -> None:
    """Neither a pass nor a loss: the harness owes it."""
    before, after = (
        observe().model_copy(update={"volumes": [HELD.model_copy(update={"digest": digest})]}) for digest in ("d", "")
    )

    with pytest.raises(NotSeenError, match="was not read"):
        volumes_lost(before, after)
