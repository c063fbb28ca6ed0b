"""The clauses on the pool catch what is wrong with it, and nothing else."""

import pytest
from crashinit.model.observation import CheckRun

from tests.contract.builder import (
    DATA_SIZE,
    EXPECTATION,
    Change,
    add,
    attached,
    change_loop,
    change_part,
    change_pool,
    evidence,
    failed,
    observe,
    replace,
    shut_down,
    spoil,
    unlink,
    write,
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_pool(live_table=lambda line: line.replace(" 128 ", " 256 ")), "block size is 131072 bytes, not 65536"),
        (change_pool(live_table=lambda line: line.replace("32768", "1024")), "low-water mark is 1024 blocks"),
        (change_pool(live_table=lambda line: line.replace(" 1 skip_block_zeroing", "")), "features are ''"),
        (change_pool(live_table=lambda line: line.replace("1 skip", "2 read_only skip")), "read_only"),
    ],
    ids=["block size", "low-water mark", "no features", "too many features"],
)
def test_a_pool_unlike_the_configured_one_fails_c02(change: Change, said: str) -> None:
    """Block size, low-water mark and features of the live table are the configured ones."""
    failures = failed(spoil(evidence(), change))

    assert {"C02"} == failures.keys()
    assert said in failures["C02"]


def test_an_absent_pool_fails_each_clause_that_needs_it() -> None:
    """A machine without the driver's pool has no pool, no backing and no health; its loops are leaks."""
    gone = spoil(evidence(), lambda o: replace(o, dm=[], mapper_nodes=[]))

    assert {"C02", "C03", "C04", "C10"} == failed(gone).keys()


def test_a_second_pool_on_the_same_files_fails_c02() -> None:
    """One pool is one pool, whatever the name of the other."""
    other = observe().dm[0].model_copy(update={"name": "other", "device": "254:9"})

    assert {"C02"} == failed(spoil(evidence(), add("dm", other))).keys()


def test_a_pool_name_taken_by_another_target_fails_c02() -> None:
    """A device of the pool's name that is no thin pool is told from a pool."""
    linear = change_pool(live_table=["0 8 linear 7:0 0"])

    assert "is not a thin pool" in failed(spoil(evidence(), linear))["C02"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_loop(0, autoclear=False), "has no autoclear"),
        (change_loop(1, backing_deleted=True), "(deleted)"),
        (change_loop(0, size=DATA_SIZE // 2), f"bytes, not {DATA_SIZE}"),
        (change_loop(0, offset=4096), "only a part"),
        (change_loop(0, backing_file="/elsewhere/data"), "not '/var/lib/thin/devicemapper/data'"),
        (change_pool(live_table=lambda line: line.replace("7:0", "8:0")), "'8:0' is no loop device"),
        (change_pool(live_table=lambda line: line.replace("524288", "1024")), "1024 sectors of data"),
    ],
    ids=["no autoclear", "deleted file", "size", "offset", "other file", "no loop", "length"],
)
def test_a_wrong_backing_fails_c03(change: Change, said: str) -> None:
    """The pool stands on loop devices over the root's own files, whole, with autoclear."""
    failures = failed(spoil(evidence(), change))

    assert said in failures["C03"]
    assert failures.keys() <= {"C03", "C04"}  # a loop that the pool does not use is a leak as well


def test_a_missing_autoclear_is_c03_alone() -> None:
    """The missing flag is no leak as long as the pool uses the loop device."""
    assert {"C03"} == failed(spoil(evidence(), change_loop(1, autoclear=False))).keys()


def test_a_file_attached_twice_fails_c03_and_leaks() -> None:
    """A second loop device over the data file is a wrong backing and a leak."""
    twice = spoil(evidence(), add("loops", attached(5, "devicemapper/data", DATA_SIZE)))

    assert {"C03", "C04"} == failed(twice).keys()


def test_block_devices_are_judged_by_their_numbers() -> None:
    """With block devices configured the pool's table must name those."""
    right = EXPECTATION.model_copy(update={"backing": "block", "data_device": "7:0", "metadata_device": "7:1"})
    wrong = right.model_copy(update={"data_device": "252:16"})

    assert failed(evidence(), right) == {}
    assert {"C03"} == failed(evidence(), wrong).keys()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([write("metadata/transaction-metadata", open_transaction_id=2)], "is left open"),
        ([change_part("pool", transaction=3)], "is behind"),
        ([write("metadata/base", transaction_id=4)], "recorded with transaction 4"),
        ([write("metadata/transaction-metadata", "")], "it is empty"),
        ([unlink("metadata/transaction-metadata"), change_part("pool", transaction=0)], "the pool is at 0"),
    ],
    ids=["left open", "behind", "device ahead", "torn", "device ahead, none open"],
)
def test_transactions_that_disagree_fail_c09(changes: list[Change], said: str) -> None:
    """The transaction that the driver opened last is the pool's, and no device is ahead of the pool."""
    assert said in failed(spoil(evidence(), *changes))["C09"]


def test_no_transaction_on_record_is_no_open_transaction() -> None:
    """A rollback removes the transaction's file, and so leaves none open."""
    assert failed(spoil(evidence(), unlink("metadata/transaction-metadata"))) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_pool(status=lambda line: line.replace(" rw ", " ro ")), "'ro'"),
        (change_pool(status=lambda line: line.replace(" rw ", " out_of_data_space ")), "'out_of_data_space'"),
        (change_pool(status=lambda line: line.replace("no_space - ", "no_space needs_check ")), "needs_check"),
        (change_pool(status=["0 524288 thin-pool Fail"]), "says 'Fail'"),
    ],
    ids=["read-only", "out of space", "needs check", "failed"],
)
def test_a_pool_that_is_not_well_fails_c10(change: Change, said: str) -> None:
    """The status of the live pool tells of a mode other than read-write, and of the need for a check."""
    failures = failed(spoil(evidence(), change))

    assert {"C10"} == failures.keys()
    assert said in failures["C10"]


def test_what_thin_check_finds_fails_c10() -> None:
    """The exit status of thin_check after shutdown decides; its last line is the reason."""
    check = CheckRun(argv=["thin_check"], exit=1, output="examining superblock\nbad checksum")
    bad = evidence().model_copy(update={"after_shutdown": replace(shut_down(observe()), thin_check=check)})

    assert failed(bad) == {"C10": "thin_check ended with exit status 1: 'bad checksum'"}


def test_no_thin_check_is_no_pass() -> None:
    """Metadata that cannot be checked is not known to be sound."""
    none = evidence().model_copy(update={"after_shutdown": replace(shut_down(observe()), thin_check=None)})

    assert {"C10"} == failed(none).keys()


@pytest.mark.parametrize("lines", [[], ["0 8 linear 7:0 0", "8 8 linear 7:0 8"]], ids=["none", "two"])
def test_a_pool_without_its_one_target_is_none(lines: list[str]) -> None:
    """A pool has exactly one target in its live table; the reason counts them."""
    failures = failed(spoil(evidence(), change_pool(live_table=lines)))

    assert failures["C02"].endswith(f"has {len(lines)} targets in its live table, not 1")


def test_a_pool_without_status_fails_c10() -> None:
    """A pool that says nothing of itself is not known to be well."""
    assert failed(spoil(evidence(), change_pool(status=[]))) == {"C10": "the pool has 0 lines of status, not 1"}
