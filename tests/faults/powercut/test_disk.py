"""Images of crash states, and the number that tells them apart."""

import os

from crashinit.faults.powercut.disk import Identity, blank, differ, pieces, write
from crashinit.faults.powercut.log import SECTOR, Entry
from hypothesis import given, settings
from hypothesis import strategies as st

SIZE = 64 * SECTOR


def entry(sector: int, value: int, sectors: int = 1) -> Entry:
    return Entry(sector, sectors, 0, bytes([value]) * SECTOR * sectors)


changes = st.lists(st.builds(entry, st.integers(0, 31), st.integers(0, 3), st.integers(1, 4)), max_size=8)


def content(entries: list[Entry]) -> bytes:
    disk = write(blank(SIZE), entries)
    return os.pread(disk.fd, SIZE, 0)


@settings(deadline=None)
@given(changes, changes, changes)
def test_equal_numbers_are_equal_images(base: list[Entry], one: list[Entry], other: list[Entry]) -> None:
    """Two ways of writing lead to the same number if and only if they lead to the same bytes."""
    disk = write(blank(SIZE), base)
    same = content([*base, *one]) == content([*base, *other])

    assert (Identity(disk).add(one) == Identity(disk).add(other)) is same


@settings(deadline=None)
@given(changes, changes, changes)
def test_looking_ahead_changes_nothing(base: list[Entry], kept: list[Entry], tried: list[Entry]) -> None:
    """`peek` tells the number that `add` would, and leaves the image as it was."""
    identity = Identity(write(blank(SIZE), base))
    now = identity.add(kept)

    assert identity.peek(tried) == Identity(write(blank(SIZE), base)).add([*kept, *tried])
    assert identity.add([]) == now


def test_pieces_make_the_disk_again() -> None:
    """The pieces of a disk, written to a blank one, make its content; holes stay holes."""
    disk = write(blank(1 << 24), [entry(0, 1), entry(9000, 2, 7), entry((1 << 24) // SECTOR - 1, 3)])
    again = write(blank(1 << 24), pieces(disk))

    assert differ(disk, again) is None
    assert again.used() < 1 << 20


def test_difference_is_found() -> None:
    """Disks that differ in one sector differ, and the piece is named; so do disks of two sizes."""
    disk = write(blank(1 << 20), [entry(1000, 1)])

    assert differ(disk, write(blank(1 << 20), [entry(1000, 2)])) == 1000 * SECTOR // 65536 * 65536
    assert differ(disk, blank(1 << 20)) == 1000 * SECTOR // 65536 * 65536
    assert differ(disk, write(blank(1 << 21), [entry(1000, 1)])) is not None
