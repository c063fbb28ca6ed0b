"""LVM's metadata as they lie on a physical volume."""

import io
import struct

import pytest
from crashinit.families.lvm.guest.text import AREA, HEADER, HEADER_SIZE, MAGIC, PLACE, extents, metadata

TEXT = """vg {
seqno = 6
extent_size = 8192

physical_volumes {

pv0 {
pe_start = 2048
}
}

logical_volumes {

pool {
segment1 {
metadata = "pool_tmeta"
}
}

pool_tmeta {
segment_count = 2

segment1 {
start_extent = 0
extent_count = 3

stripes = [
"pv0", 68
]
}
segment2 {
start_extent = 3
extent_count = 1

stripes = [
"pv0", 10
]
}
}

pool_tdata {
segment1 {
extent_count = 64
stripes = [
"pv0", 4
]
}
}
}
}
"""
SIZE = 8192  # bytes of the area


def volume(text: str, begin: int) -> io.BytesIO:
    """A physical volume whose metadata area holds the text from that offset on, as a ring."""
    area = bytearray(SIZE)
    HEADER.pack_into(area, 0, 0, MAGIC, 1, AREA, SIZE)
    PLACE.pack_into(area, HEADER.size, begin, len(text), 0, 0)
    for n, byte in enumerate(text.encode()):
        place = begin + n
        area[place if place < SIZE else HEADER_SIZE + place - SIZE] = byte
    return io.BytesIO(bytes(AREA) + bytes(area))


@pytest.mark.parametrize("begin", [HEADER_SIZE, SIZE - 100])
def test_the_text_is_found_where_the_header_says(begin: int) -> None:
    """Also where it goes on at the ring's beginning."""
    assert metadata(volume(TEXT, begin)) == TEXT


def test_what_has_no_header_is_refused() -> None:
    """A blank disk is no physical volume, and one in no group has no text."""
    with pytest.raises(ValueError, match="no metadata of LVM"):
        metadata(io.BytesIO(bytes(AREA + SIZE)))
    with pytest.raises(ValueError, match="in no group"):
        metadata(volume("", HEADER_SIZE))
    with pytest.raises(struct.error):
        metadata(io.BytesIO(bytes(AREA)))


def test_the_pieces_of_a_volume_come_in_its_order() -> None:
    """In bytes from the beginning of the physical volume: 1 MiB before the first extent, 4 MiB an extent."""
    mib = 1 << 20

    assert list(extents(TEXT, "pool_tmeta")) == [((1 + 68 * 4) * mib, 12 * mib), ((1 + 10 * 4) * mib, 4 * mib)]


def test_a_volume_that_is_not_there_is_refused() -> None:
    """A name that is only mentioned is no volume."""
    with pytest.raises(ValueError, match="do not have a volume 'nonesuch'"):
        list(extents(TEXT, "nonesuch"))
    with pytest.raises(ValueError, match="is not linear"):
        list(extents(TEXT, "pool"))
