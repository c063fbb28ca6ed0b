"""LVM's own metadata, as they lie on a physical volume: a text, after a header that says where it begins.

Source: lib/format_text/layout.h of LVM2 (struct mda_header, struct raw_locn): the first metadata area begins at 4096
bytes; its header has a checksum, a magic, a version, its start and its size, and then the places of texts.
"""

import re
import struct
from collections.abc import Iterator
from typing import IO

AREA = 4096  # bytes: where the first metadata area begins (pvcreate's default)
MAGIC = b" LVM2 x[5A%r0N*>"
HEADER = struct.Struct("<I16sIQQ")  # checksum, magic, version, start, size
PLACE = struct.Struct("<QQII")  # offset, size, checksum, flags
HEADER_SIZE = 512  # bytes; the texts lie in a ring behind it
SECTOR = 512


def metadata(device: IO[bytes]) -> str:
    """The text that describes the group. Raises ValueError when there is none."""
    device.seek(AREA)
    header = device.read(HEADER_SIZE)
    _, magic, _, start, size = HEADER.unpack_from(header)
    if magic != MAGIC:
        raise ValueError("the physical volume has no metadata of LVM")
    offset, length, _, _ = PLACE.unpack_from(header, HEADER.size)
    if not length:
        raise ValueError("the physical volume is in no group")
    device.seek(start + offset)
    text = device.read(min(length, size - offset))
    if len(text) < length:  # the ring goes on behind the header
        device.seek(start + HEADER_SIZE)
        text += device.read(length - len(text))
    return text.rstrip(b"\0").decode("utf-8", "replace")


def extents(text: str, volume: str) -> Iterator[tuple[int, int]]:
    """(offset, length) in bytes on the one physical volume, of each piece of a linear volume in its order.

    Raises ValueError when the text does not have it.
    """
    begin = _number(text, "pe_start") * SECTOR
    extent = _number(text, "extent_size") * SECTOR
    section = _section(text, volume)
    pieces = re.findall(r'extent_count = (\d+).*?stripes = \[\s*"pv0", (\d+)\s*\]', section, re.DOTALL)
    if not pieces:
        raise ValueError(f"the volume '{volume}' is not linear")
    for count, first in pieces:
        yield begin + int(first) * extent, int(count) * extent


def _section(text: str, name: str) -> str:
    """What stands between the braces after a name."""
    begin = re.search(rf"(?m)^\s*{re.escape(name)} \{{", text)
    if begin is None:
        raise ValueError(f"LVM's metadata do not have a volume '{name}'")
    depth = 0
    for brace in re.finditer(r"[{}]", text[begin.end() - 1 :]):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return text[begin.end() : begin.end() - 1 + brace.start()]
    raise ValueError(f"LVM's metadata end within the volume '{name}'")


def _number(text: str, key: str) -> int:
    found = re.search(rf"\b{key} = (\d+)", text)
    if found is None:
        raise ValueError(f"LVM's metadata have no '{key}'")
    return int(found[1])
