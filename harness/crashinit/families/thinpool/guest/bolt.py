"""A reader of bbolt files, the key-value store that containerd keeps its records in.

Source: the page layout in the package documentation of go.etcd.io/bbolt and its page, meta and bucket structures.
The file is read while its owner may have it open: each commit writes new pages and then one of two meta pages, so the
newer meta page that is whole shows a state that was committed.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

MAGIC = 0xED0CDAED
PAGE = struct.Struct("<QHHI")  # id, flags, count, overflow
BRANCH, LEAF = 0x01, 0x02  # of the flags
META = struct.Struct("<IIIIQQQQQQ")  # magic, version, page size, flags, root, sequence, free list, pages, txid, sum
BRANCH_ELEMENT = struct.Struct("<IIQ")  # position from this element, key size, page
LEAF_ELEMENT = struct.Struct("<IIII")  # flags, position from this element, key size, value size
BUCKET = struct.Struct("<QQ")  # root page (0: the bucket's only page follows), sequence
IS_BUCKET = 0x01  # of an element's flags
FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a, 64 bits


def read(path: Path) -> dict[str, bytes]:
    """Every value by its path of bucket names and key. Raises OSError, or ValueError when it is no such file."""
    data = path.read_bytes()
    try:
        size, root = _newest(data)
        return dict(_walk(data, size, data[root * size :], ""))
    except (struct.error, RecursionError, IndexError) as error:
        raise ValueError(f"'{path}' is no whole bbolt file: {error}") from None


def _newest(data: bytes) -> tuple[int, int]:
    """(page size, root page) of the newer meta page. Raises ValueError when there is none."""
    found: list[tuple[int, int, int]] = []
    (size,) = struct.unpack_from("<I", data, PAGE.size + 8)
    for start in (0, size):
        meta = data[start + PAGE.size : start + PAGE.size + META.size]
        magic, _version, page_size, _flags, root, _sequence, _free, _pages, txid, checksum = META.unpack(meta)
        if magic == MAGIC and checksum == _fnv(meta[:-8]):
            found.append((txid, page_size, root))
    if not found:
        raise ValueError("it has no whole meta page")
    _, page_size, root = max(found)
    return page_size, root


def _walk(data: bytes, size: int, page: bytes, prefix: str) -> Iterator[tuple[str, bytes]]:
    _id, flags, count, _overflow = PAGE.unpack_from(page)
    if flags & BRANCH:
        for index in range(count):
            _position, _key_size, child = BRANCH_ELEMENT.unpack_from(page, PAGE.size + index * BRANCH_ELEMENT.size)
            yield from _walk(data, size, data[child * size :], prefix)
        return
    if not flags & LEAF:
        raise ValueError("a page is neither branch nor leaf")
    for index in range(count):
        start = PAGE.size + index * LEAF_ELEMENT.size
        kind, position, key_size, value_size = LEAF_ELEMENT.unpack_from(page, start)
        key = page[start + position :][:key_size].decode("utf-8", "backslashreplace")
        value = page[start + position + key_size :][:value_size]
        if not kind & IS_BUCKET:
            yield prefix + key, value
            continue
        root, _sequence = BUCKET.unpack_from(value)
        inside = data[root * size :] if root else value[BUCKET.size :]
        yield from _walk(data, size, inside, f"{prefix}{key}/")


def _fnv(data: bytes) -> int:
    total = FNV_OFFSET
    for byte in data:
        total = ((total ^ byte) * FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return total
