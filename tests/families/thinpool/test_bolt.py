"""The reader of bbolt files, over files that the tests put together page by page."""

import struct
from pathlib import Path

import pytest
from crashinit.families.thinpool.guest import bolt

PAGE = 4096
Items = list[tuple[int, bytes, bytes]]  # element flags, key, value


def leaf(items: Items, number: int = 0) -> bytes:
    """A leaf page, no longer than it must be."""
    head, body = b"", b""
    start = 16 + 16 * len(items)
    for index, (flags, key, value) in enumerate(items):
        head += struct.pack("<IIII", flags, start + len(body) - 16 - 16 * index, len(key), len(value))
        body += key + value
    return struct.pack("<QHHI", number, bolt.LEAF, len(items), 0) + head + body


def branch(children: list[tuple[bytes, int]]) -> bytes:
    """A branch page."""
    head, body = b"", b""
    start = 16 + 16 * len(children)
    for index, (key, page) in enumerate(children):
        head += struct.pack("<IIQ", start + len(body) - 16 - 16 * index, len(key), page)
        body += key
    return struct.pack("<QHHI", 0, bolt.BRANCH, len(children), 0) + head + body


def meta(txid: int, root: int, whole: bool = True) -> bytes:
    """A meta page."""
    body = bolt.META.pack(bolt.MAGIC, 2, PAGE, 0, root, 0, 2, 9, txid, 0)[:-8]
    checksum = bolt._fnv(body)
    return bolt.PAGE.pack(0, 4, 0, 0) + body + struct.pack("<Q", checksum if whole else checksum ^ 1)


def file(path: Path, *pages: bytes) -> Path:
    path.write_bytes(b"".join(page.ljust(PAGE, b"\0") for page in pages))
    return path


def test_values_are_found_through_branches_and_buckets(tmp_path: Path) -> None:
    """Keys on leaves below a branch, in a bucket on a page of its own, and in one that lies within its parent."""
    within = struct.pack("<QQ", 0, 0) + leaf([(0, b"k", b"inline")])
    of_its_own = struct.pack("<QQ", 5, 0)
    path = file(
        tmp_path / "x.db",
        meta(1, 2),
        meta(2, 2),
        branch([(b"a", 3), (b"m", 4)]),
        leaf([(0, b"a", b"1"), (bolt.IS_BUCKET, b"b", of_its_own)]),
        leaf([(bolt.IS_BUCKET, b"m", within)]),
        leaf([(0, b"k", b"paged")]),
    )

    assert bolt.read(path) == {"a": b"1", "b/k": b"paged", "m/k": b"inline"}


@pytest.mark.parametrize(("torn", "expected"), [(False, b"new"), (True, b"old")])
def test_the_newest_whole_state_counts(tmp_path: Path, torn: bool, expected: bytes) -> None:
    """A meta page that was torn by a crash leaves the state before it."""
    old, new = (leaf([(0, b"k", value)]) for value in (b"old", b"new"))
    path = file(tmp_path / "x.db", meta(6, 2), meta(7, 3, whole=not torn), old, new)

    assert bolt.read(path) == {"k": expected}


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 20000, b"\0" * 20000])
def test_what_is_no_such_file_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    """An empty file, a short one, garbage and zeros all raise ValueError."""
    path = tmp_path / "x.db"
    path.write_bytes(content)

    with pytest.raises(ValueError, match="whole"):
        bolt.read(path)
