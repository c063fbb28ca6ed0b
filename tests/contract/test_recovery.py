"""The clauses on init as a whole."""

import pytest
from crashinit.contract.judge import judge
from crashinit.model.observation import FileEntry
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.builder import (
    EXPECTATION,
    FAMILY,
    OF_OTHER_FAULTS,
    Change,
    add,
    change_file,
    change_part,
    change_pool,
    evidence,
    failed,
    observe,
    operation,
    reference,
    replace,
    run,
    spoil,
    write,
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"exit": 1, "stderr": "starting\nError loading device metadata file .tmp1\n"},
            "the first re-init ended with exit status 1: 'Error loading device metadata file .tmp1'",
        ),
        ({"exit": -11}, "the first re-init was ended by signal SIGSEGV and printed nothing"),
        (
            {"exit": -9, "timed_out": True, "seconds": 60.04},
            "the first re-init did not end in time and was ended after 60.0 s and printed nothing",
        ),
        ({"seconds": 61.0}, "the first re-init took 61.0 s of 60 s"),
    ],
    ids=["exit status", "signal", "hang", "late"],
)
def test_a_reinit_that_fails_is_c01_alone(changes: dict[str, object], reason: str) -> None:
    """The reason names how the first re-init ended and its last line; that a second one succeeds does not help."""
    second = evidence().model_copy(update={"reinits": [run(**changes), run()]})

    assert {"C01": reason} == failed(second)


def test_a_daemon_that_got_ready_has_succeeded() -> None:
    """A daemon's init has no exit status: it is over when the daemon is ready."""
    assert failed(evidence().model_copy(update={"reinits": [run(exit=None, seconds=999.0)]})) == {}


def test_without_success_nothing_later_is_judged() -> None:
    """What comes only after a successful init is n/a when there was none: the failure is C01's."""
    wedged = evidence().model_copy(
        update={
            "reinits": [run(exit=1), run(exit=1)],
            "again": None,
            "after_again": None,
            "exercise": None,
            "shutdown": None,
            "after_shutdown": None,
        }
    )
    verdicts = judge(wedged, reference(), EXPECTATION, FAMILY)

    assert {"C01"} == failed(wedged).keys()
    unjudged = {c for c, v in verdicts.items() if v.status == "n/a"} - OF_OTHER_FAULTS
    assert {"C04", "C08", "C10", "C11", "C12"} == unjudged
    assert verdicts["C08"].reason == "no re-init succeeded, so the base was not tried"


@pytest.mark.parametrize("program", ["mkfs.ext4", "/sbin/mkfs.xfs", "mke2fs"])
def test_a_second_mkfs_fails_c11_alone(program: str) -> None:
    """One more init must not make a file system again, by whatever name."""
    again = run(operations=[operation("exec", "blkid"), operation("exec", program)])

    assert {"C11": f"one more init ran '{program}'"} == failed(evidence().model_copy(update={"again": again}))


def test_one_more_init_that_fails_is_c11_alone() -> None:
    """Init must be repeatable once it has succeeded."""
    assert {"C11"} == failed(evidence().model_copy(update={"again": run(exit=1)})).keys()


@pytest.mark.parametrize(
    "change",
    [
        change_part("base", uuid="new"),
        change_part("pool", transaction=2),
        change_pool(live_table=lambda line: line.replace("32768", "1")),
        write("metadata/base", device_id=2),
        add("files", FileEntry(path="new", kind="file", mode=0o600, size=1)),
        change_file("lock", owner="1:1"),
        change_file("lock", xattrs={"user.x": "00"}),
        change_file("lock", digest="other"),
        change_file("lock", kind="symlink", link="elsewhere"),
        change_pool(suspended=True),
    ],
    ids=["UUID", "transaction", "table", "id", "file", "owner", "attribute", "content", "link", "suspended"],
)
def test_a_change_by_one_more_init_fails_c11_alone(change: Change) -> None:
    """Ids, UUIDs, tables and files are the same after one more init."""
    moved = evidence().model_copy(update={"after_again": change(observe())})

    assert {"C11"} == failed(moved).keys()


def test_other_numbers_after_one_more_init_are_no_change() -> None:
    """A daemon that is stopped and started gets other loop and dm numbers, and has changed nothing."""
    moved = evidence().model_copy(update={"after_again": observe(data_loop=8, metadata_loop=3, pool_minor=6)})

    assert failed(moved) == {}


@given(
    inode=st.integers(1, 10**6),
    transaction=st.integers(1, 99),
    base_id=st.integers(1, 99),
    uuid=st.uuids().map(str),
    minor=st.integers(0, 255),
)
def test_recovery_may_use_up_ids_and_draw_a_new_uuid(
    inode: int, transaction: int, base_id: int, uuid: str, minor: int
) -> None:
    """Another machine, more transactions, a skipped thin id and another UUID pass all clauses, C13 too."""
    other = evidence(inode=inode, transaction=transaction, base_id=base_id, uuid=uuid, pool_minor=minor)
    statuses = {clause: v.status for clause, v in judge(other, reference(), EXPECTATION, FAMILY).items()}

    other_than_pass = {clause: status for clause, status in statuses.items() if status != "pass"}
    assert other_than_pass == dict.fromkeys({"C12"} | OF_OTHER_FAULTS, "n/a")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            add("files", FileEntry(path="junk", kind="file", mode=0o600, size=1)),
            "'files/junk/kind' is 'file', not absent",
        ),
        (change_pool(open_count=1), "'dm/pool/open_count' is '1', not '0'"),
        (
            lambda o: replace(o, files=[e.model_copy(update={"mode": 0o644}) for e in o.files]),
            "'files/devicemapper/data/mode' is '0o644', not '0o600'",
        ),
    ],
    ids=["file", "held open", "mode"],
)
def test_any_other_difference_fails_c13_alone(change: Change, said: str) -> None:
    """What no other clause names is still not the state of an init without faults."""
    spoilt = spoil(evidence(), change)
    verdict = judge(spoilt, reference(), EXPECTATION, FAMILY)["C13"]

    assert failed(spoilt) == {}
    assert verdict.status == "fail"
    assert said in verdict.reason


def test_a_long_list_of_differences_is_cut_short() -> None:
    """The reason lists the first few differences and counts the others."""
    many = add("files", *(FileEntry(path=f"f{n}", kind="file", mode=0, size=0) for n in range(4)))

    assert judge(spoil(evidence(), many), reference(), EXPECTATION, FAMILY)["C13"].reason.endswith("; and 12 more")
