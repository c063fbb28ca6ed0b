"""The clauses on the base device."""

import pytest
from crashinit.contract.judge import judge
from crashinit.model.observation import Exercise, ThinDevice

from tests.contract.builder import (
    BASE_SIZE,
    EXPECTATION,
    FAMILY,
    OF_OTHER_FAULTS,
    Change,
    add,
    change_part,
    evidence,
    failed,
    observe,
    reference,
    replace,
    spoil,
    unlink,
    write,
)

STRAY = ThinDevice(id=9, mapped_blocks=0, transaction=0, digest="")
POOL = observe().pool
assert POOL is not None
THINS = POOL.thin_devices


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_part("pool", thin_devices=[*THINS, STRAY]), "thin id 9 is in the pool but not recorded"),
        (change_part("pool", thin_devices=[]), "thin id 1 of device 'base' is recorded but not in the pool"),
        (write("metadata/layer", device_id=1, size=1, transaction_id=1), "thin id 1 is recorded for 2 devices"),
        (lambda o: replace(o, pool=None), "no metadata to compare with"),
    ],
    ids=["no rollback", "device lost", "id used twice", "no pool metadata"],
)
def test_ids_that_disagree_fail_c05(change: Change, said: str) -> None:
    """Every thin id of the pool is recorded once, and every recorded one is in the pool."""
    failures = failed(spoil(evidence(), change))

    assert said in failures["C05"]
    assert failures.keys() <= {"C05", "C09"}  # without the pool's metadata its transaction is unknown as well


def test_a_skipped_rollback_fails_c05_and_c09() -> None:
    """A transaction cut short after the thin device was made leaves an id that nothing records, and is still open."""
    half = spoil(
        evidence(),
        change_part("pool", thin_devices=[*THINS, STRAY]),
        write("metadata/transaction-metadata", open_transaction_id=2, device_id=9),
    )

    assert {"C05", "C09"} == failed(half).keys()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (write("metadata/base", initialized=False), "not initialised"),
        (write("metadata/base", deleted=True), "as deleted"),
        (write("metadata/base", size=BASE_SIZE * 2), f"not {BASE_SIZE}"),
    ],
    ids=["not initialised", "deleted", "size"],
)
def test_an_incomplete_record_of_the_base_fails_c06_alone(change: Change, said: str) -> None:
    """The base is recorded as initialised, with the configured size."""
    failures = failed(spoil(evidence(), change))

    assert {"C06"} == failures.keys()
    assert said in failures["C06"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "it is empty"), ('{"device_id":1,"si', "it is not JSON"), ("[]", "not a JSON object"), ("{}", "'device_id'")],
    ids=["empty", "torn", "list", "no fields"],
)
def test_a_record_written_in_place_fails_c06(text: str, said: str) -> None:
    """A record of the base that a crash tore is no record."""
    assert said in failed(spoil(evidence(), write("metadata/base", text)))["C06"]


def test_no_record_of_the_base_fails_c06() -> None:
    """A base that is not recorded does not exist for the driver, and its thin id is a stray one."""
    failures = failed(spoil(evidence(), unlink("metadata/base")))

    assert {"C05", "C06"} == failures.keys()
    assert failures["C06"] == "the base is not recorded"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_part("base", fstype="", uuid="", check_exit=8), "the base holds no file system"),
        (change_part("base", check_exit=4, check_output="Superblock\nerrors left\n"), "exit status 4: 'errors left'"),
        (lambda o: replace(o, base=None), "there is no base"),
    ],
    ids=["marked before mkfs", "not clean", "no base"],
)
def test_a_base_without_its_sound_file_system_fails_c07_alone(change: Change, said: str) -> None:
    """The base holds a file system, and it is clean."""
    failures = failed(spoil(evidence(), change))

    assert {"C07"} == failures.keys()
    assert said in failures["C07"]


def test_a_file_system_of_another_type_is_neither_the_configured_nor_the_recorded_one() -> None:
    """C07 asks for the type that init was given, C18 for the one that the driver wrote down."""
    failures = failed(spoil(evidence(), change_part("base", fstype="xfs")))

    assert {"C07", "C18"} == failures.keys()
    assert "'xfs', not 'ext4'" in failures["C07"]


def test_a_file_system_that_nothing_checks_is_no_pass() -> None:
    """Without a check nobody knows whether it is clean, and that is the harness's want."""
    btrfs = EXPECTATION.model_copy(update={"fstype": "btrfs"})
    unchecked = spoil(evidence(), change_part("base", fstype="btrfs", check_argv=[]))
    verdict = judge(unchecked, reference(), btrfs, FAMILY)["C07"]

    assert (verdict.status, verdict.unseen) == ("fail", True)
    assert verdict.reason == "the harness has no check for the base's file system 'btrfs'"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_part("base", uuid="0000"), "the base's UUID is '0000'"),
        (write("metadata/deviceset-metadata", BaseDeviceUUID=""), "is not recorded"),
        (write("metadata/deviceset-metadata", BaseDeviceFilesystem="xfs"), "'xfs' is recorded"),
    ],
    ids=["other UUID", "UUID unrecorded", "type recorded"],
)
def test_a_base_that_is_not_the_recorded_one_fails_c18_alone(change: Change, said: str) -> None:
    """The UUID tells the base that belongs to these records from any other."""
    failures = failed(spoil(evidence(), change))

    assert {"C18"} == failures.keys()
    assert said in failures["C18"]


def test_a_base_that_cannot_be_used_fails_c08_alone() -> None:
    """The reason names the stage at which the snapshot failed."""
    bad = evidence().model_copy(update={"exercise": Exercise(ok=False, stage="mount", message="wrong fs type")})

    assert failed(bad) == {"C08": "a snapshot of the base failed at 'mount': wrong fs type"}


def test_a_base_that_the_harness_could_not_try_is_no_failure_of_the_driver() -> None:
    """Without its own tools the harness cannot say whether the base is of use."""
    tool = Exercise(ok=False, stage="mount", message="'blkid' could not be run", unseen=True)
    verdict = judge(evidence().model_copy(update={"exercise": tool}), reference(), EXPECTATION, FAMILY)["C08"]

    assert (verdict.status, verdict.unseen) == ("fail", True)


def test_an_exercise_that_hangs_is_the_drivers_failure_and_ends_the_trial() -> None:
    """C08 fails; what would have come after it is not owed."""
    hung = Exercise(ok=False, stage="mount", message="it hangs in the kernel", hung=True)
    ended = evidence().model_copy(update={"exercise": hung, "shutdown": None, "after_shutdown": None})

    assert failed(ended).keys() == {"C08"}


def test_unknown_metadata_leaves_its_clauses_unjudged() -> None:
    """Where the metadata's format is unknown, what needs it is n/a with that reason, never a pass."""
    unknown = EXPECTATION.model_copy(update={"metadata_format": "none"})
    verdicts = judge(evidence(), evidence(), unknown, FAMILY)

    unjudged = {clause for clause, verdict in verdicts.items() if verdict.status == "n/a"}
    assert {"C05", "C06", "C09", "C12", "C18"} == unjudged - OF_OTHER_FAULTS
    assert verdicts["C05"].reason == "the format of the driver's metadata is unknown"


def test_a_visibly_broken_base_fails_c07_whatever_the_format() -> None:
    """That the record is unknown does not excuse a file system that is not clean."""
    unknown = EXPECTATION.model_copy(update={"metadata_format": "none"})

    assert {"C07"} == failed(spoil(evidence(), change_part("base", check_exit=4)), unknown).keys()


def test_an_unknown_file_among_the_records_fails_c05() -> None:
    """Ids cannot be said to agree while a record cannot be read."""
    torn = spoil(evidence(), write("metadata/layer", "{"), add("semaphores"))

    assert "'metadata/layer' cannot be read" in failed(torn)["C05"]
