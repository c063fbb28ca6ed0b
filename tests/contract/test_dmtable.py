"""Table and status lines are read as the kernel prints them."""

import pytest
from crashinit.contract.dmtable import (
    PoolTable,
    UnreadableLineError,
    devices,
    read_pool_status,
    read_pool_table,
    target_failed,
)
from hypothesis import given
from hypothesis import strategies as st


def test_a_pool_table_is_read() -> None:
    """Numbers in sectors and blocks, devices by number, features as a set."""
    line = "0 524288 thin-pool 7:1 7:0 128 32768 1 skip_block_zeroing"

    assert PoolTable(524288, "7:1", "7:0", 128, 32768, frozenset({"skip_block_zeroing"})) == read_pool_table(line)
    assert devices(line) == ("7:1", "7:0")


@pytest.mark.parametrize("line", ["0 8 thin-pool 7:1 7:0 128 0 0", "0 8 thin-pool 7:1 7:0 128 0"])
def test_a_pool_table_without_features_is_read(line: str) -> None:
    """The count of features may be nought, or left out."""
    assert frozenset() == read_pool_table(line).features


def test_a_pool_status_is_read() -> None:
    """The form of kernel 6.1, with the low-water mark at the end."""
    status = read_pool_status(
        "0 524288 thin-pool 1 140/4096 300/4096 - rw discard_passdown queue_if_no_space - 1024"
    )  # fmt: skip

    assert (
        status.transaction, status.metadata_used, status.metadata_total, status.data_used, status.data_total,
        status.held_root, status.mode, status.needs_check,
    ) == (1, 140, 4096, 300, 4096, "-", "rw", False)  # fmt: skip


def test_the_status_of_an_older_kernel_is_read() -> None:
    """Before 'needs_check' and the low-water mark were printed the line was shorter."""
    assert read_pool_status("0 8 thin-pool 1 1/2 1/2 12 ro no_discard_passdown").mode == "ro"


@pytest.mark.parametrize("line", ["0 8 thin-pool Fail", "0 8 thin-pool Error", "0 8 thin Fail"])
def test_a_failed_target_is_no_status(line: str) -> None:
    """A target that only says that it failed has no numbers to read."""
    assert target_failed(line)
    with pytest.raises(UnreadableLineError):
        read_pool_status(line)


@given(line=st.text() | st.lists(st.sampled_from(["0", "8", "thin-pool", "7:1", "1/2", "-", "rw", "x"])).map(" ".join))
def test_no_line_breaks_the_readers(line: str) -> None:
    """A line is read or refused with a sentence that quotes it."""
    for read in (read_pool_table, read_pool_status):
        try:
            read(line)
        except UnreadableLineError as error:
            assert str(error)
