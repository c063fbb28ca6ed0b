"""thindriver.thinmeta: the B-tree of a thin pool's device details, laid out as the kernel does."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thindriver.errors import DriverError
from thindriver.thinmeta import ThinMetadata

BLOCK = 4096
Details = dict[int, tuple[int, int]]  # thin id -> mapped blocks, transaction id


def node(internal: bool, entries: list[tuple[int, bytes]], size: int) -> bytes:
    """struct btree_node: header, room for keys, values; the room is larger than what is used."""
    room = 126
    head = struct.pack("<IIQIIII", 0, 1 if internal else 2, 0, len(entries), room, size, 0)
    keys = b"".join(struct.pack("<Q", key) for key, _ in entries).ljust(room * 8, b"\xee")
    return (head + keys + b"".join(value for _, value in entries)).ljust(BLOCK, b"\xee")


def leaf(details: Details) -> bytes:
    """A leaf of struct disk_device_details."""
    return node(False, [(id, struct.pack("<QQII", *values, 5, 6)) for id, values in sorted(details.items())], 24)


def superblock(root: int, transaction: int) -> bytes:
    """struct thin_disk_superblock, as far as it is read."""
    block = bytearray(BLOCK)
    struct.pack_into("<Q", block, 32, 27022010)
    struct.pack_into("<Q", block, 48, transaction)
    struct.pack_into("<Q", block, 64, 4096)  # blocks in the data space map
    struct.pack_into("<Q", block, 328, root)
    struct.pack_into("<I", block, 336, 128)
    return bytes(block)


def metadata(path: Path, *blocks: bytes) -> ThinMetadata:
    """Metadata with these blocks, in a file."""
    path.write_bytes(b"".join(blocks))
    return ThinMetadata(str(path), direct=False)


@given(
    st.dictionaries(st.integers(0, 0xFFFFFF), st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40)), max_size=100)
)
def test_every_device_is_found_in_one_leaf(tmp_path_factory: pytest.TempPathFactory, details: Details) -> None:
    """Ids, mapped blocks and transaction ids come back as they were laid out."""
    found = metadata(tmp_path_factory.mktemp("m") / "metadata", superblock(1, 7), leaf(details))

    assert details == {id: (thin.mapped, thin.transaction) for id, thin in found.thins().items()}
    found.close()


def test_inner_nodes_lead_to_all_leaves(tmp_path: Path) -> None:
    """The tree is walked to its leaves, in whatever blocks they lie."""
    inner = node(True, [(1, struct.pack("<Q", 3)), (9, struct.pack("<Q", 2))], 8)
    found = metadata(tmp_path / "m", superblock(1, 7), inner, leaf({9: (0, 3)}), leaf({1: (5, 1), 2: (6, 2)}))

    assert sorted(found.thins()) == [1, 2, 9]


def test_size_and_transaction_are_read_from_the_superblock(tmp_path: Path) -> None:
    """Block size in sectors, data size in bytes, the pool's transaction id."""
    found = metadata(tmp_path / "m", superblock(1, 42), leaf({}))

    assert (found.block_size(), found.data_size(), found.transaction()) == (128, 256 << 20, 42)


@pytest.mark.parametrize("flags", [0, 1, 0xFFFFFFFE, 0xFFFFFFFF])
def test_the_wish_for_a_check_is_the_lowest_flag(tmp_path: Path, flags: int) -> None:
    """superblock_flag_bits in dm-thin-metadata.c: the number of the bit is 0."""
    block = superblock(root=1, transaction=0)
    found = metadata(tmp_path / "m", block[:4] + struct.pack("<I", flags) + block[8:])

    assert found.needs_check() == bool(flags & 1)


@pytest.mark.parametrize(
    ("content", "state"),
    [(b"", "blank"), (bytes(BLOCK), "blank"), (b"x" * BLOCK, "foreign"), (b"\0" * 100 + b"x", "foreign")],
)
def test_the_first_block_tells_what_is_there(tmp_path: Path, content: bytes, state: str) -> None:
    """Blank metadata will be formatted; anything without the magic number is not ours to format."""
    assert metadata(tmp_path / "m", content).state() == state
    assert metadata(tmp_path / "m", superblock(1, 0)).state() == "thin"


@pytest.mark.parametrize("broken", [b"\xff" * BLOCK, node(True, [(1, struct.pack("<Q", 1))], 8), b""])
def test_a_damaged_tree_is_an_error_and_no_endless_walk(tmp_path: Path, broken: bytes) -> None:
    """Garbage, a node that leads to itself, a block past the end: one sentence that names the file."""
    with pytest.raises(DriverError, match="cannot read the thin pool's metadata"):
        metadata(tmp_path / "m", superblock(1, 7), broken).thins()
