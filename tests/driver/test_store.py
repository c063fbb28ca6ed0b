"""thindriver.store: the metadata files are dockerd's, byte for byte, and written without a trace of the writing."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thindriver.errors import DriverError
from thindriver.store import BASE, Device, Store, Transaction, valid_id


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with an empty directory."""
    made = Store(str(tmp_path))
    made.prepare()
    return made


def test_files_have_dockerd_s_bytes(store: Store, tmp_path: Path) -> None:
    """Key order, types and spacing are what Go's encoder writes; no newline at the end."""
    store.next_device_id, store.base_uuid, store.base_filesystem = 1, "u-u", "ext4"
    store.save_transaction(Transaction(1, BASE, 1))
    store.save_device(Device(BASE, 1, 67108864, 1, False))
    store.save_deviceset()

    metadata = tmp_path / "metadata"
    assert (
        metadata / "base"
    ).read_bytes() == b'{"device_id":1,"size":67108864,"transaction_id":1,"initialized":false,"deleted":false}'
    assert (
        metadata / "transaction-metadata"
    ).read_bytes() == b'{"open_transaction_id":1,"device_hash":"","device_id":1}'
    assert (
        metadata / "deviceset-metadata"
    ).read_bytes() == b'{"next_device_id":1,"BaseDeviceUUID":"u-u","BaseDeviceFilesystem":"ext4"}'
    assert {"base", "transaction-metadata", "deviceset-metadata"} == {path.name for path in metadata.iterdir()}


@given(number=st.integers(1, 0xFFFFFF), size=st.integers(0, 1 << 63), tid=st.integers(0, 1 << 63), done=st.booleans())
def test_what_was_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, number: int, size: int, tid: int, done: bool
) -> None:
    """A device comes back with every value it was saved with."""
    root = str(tmp_path_factory.mktemp("root"))
    writer, reader = Store(root), Store(root)
    writer.prepare()
    writer.save_device(Device("a", number, size, tid, done))
    reader.load()

    assert writer.devices["a"].as_json() == reader.devices["a"].as_json()


def test_files_of_older_dockerds_are_read(store: Store, tmp_path: Path) -> None:
    """'deleted' came in 1.9, 'BaseDeviceUUID' in 1.8: both may be missing."""
    (tmp_path / "metadata/base").write_text('{"device_id":1,"size":1,"transaction_id":1,"initialized":true}')
    (tmp_path / "metadata/deviceset-metadata").write_text('{"next_device_id":7}')
    store.load()

    assert store.base is not None
    assert (store.base.deleted, store.next_device_id, store.base_uuid) == (False, 7, "")


def test_the_same_content_is_not_written_again(store: Store, tmp_path: Path) -> None:
    """Saving what is there already leaves the very same file."""
    store.save_device(Device(BASE, 1, 1, 1, True))
    before = (tmp_path / "metadata/base").stat()
    store.save_device(Device(BASE, 1, 1, 1, True))

    after = (tmp_path / "metadata/base").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_interrupted_writes_are_ignored_and_removed(tmp_path: Path) -> None:
    """A leftover temporary file, even an empty one, is no device; `prepare` removes it."""
    metadata = tmp_path / "metadata"
    metadata.mkdir()
    (metadata / ".tmp023210198").touch()
    store = Store(str(tmp_path))
    store.load()

    assert store.devices == {}
    store.prepare()
    assert list(metadata.iterdir()) == []


@pytest.mark.parametrize("name", ["base", "transaction-metadata", "deviceset-metadata", "layer"])
@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"device_id":"1","next_device_id":"1"}', "\x00" * 64, '{"next_device_id":true}']
)
def test_damaged_files_are_refused_by_name(tmp_path: Path, name: str, content: str) -> None:
    """A file that does not parse, or has a value of the wrong type, is named and not repaired by guessing."""
    metadata = tmp_path / "metadata"
    metadata.mkdir()
    (metadata / name).write_text(content)

    with pytest.raises(DriverError, match=f"{name}' is damaged"):
        Store(str(tmp_path)).load()
    assert content == (metadata / name).read_text()


def test_a_failed_write_leaves_the_old_content_and_no_temporary_file(store: Store, tmp_path: Path) -> None:
    """When the rename cannot be done, nothing has changed, and the error names the file."""
    (tmp_path / "metadata/layer").mkdir()
    (tmp_path / "metadata/layer/x").touch()

    with pytest.raises(DriverError, match="/metadata/layer'"):
        store.save_device(Device("layer", 1, 1, 1, True))
    assert [path.name for path in (tmp_path / "metadata").iterdir()] == ["layer"]


def test_dropping_twice_is_fine(store: Store, tmp_path: Path) -> None:
    """A device that is not recorded can be dropped: a crash may have come between."""
    store.save_device(Device("a", 1, 1, 1, True))
    store.drop_device("a")
    store.drop_device("a")

    assert list((tmp_path / "metadata").iterdir()) == []


@pytest.mark.parametrize(
    "id", ["", "base", "transaction-metadata", ".tmp1", "../x", "a/b", "a b", "x.migrated", "a" * 101]
)
def test_names_that_would_hide_files_or_leave_the_root_are_no_layers(id: str) -> None:
    """A layer's id becomes a file name, a directory and a device name."""
    assert not valid_id(id)


def test_docker_s_ids_are_valid() -> None:
    """64 hex digits, with '-init' for the init layer."""
    assert valid_id("ab" * 32 + "-init")


def test_written_json_is_read_by_any_parser(store: Store, tmp_path: Path) -> None:
    """The files are plain JSON objects."""
    store.save_transaction(Transaction(3, "abc", 2))

    assert json.loads((tmp_path / "metadata/transaction-metadata").read_text()) == {
        "open_transaction_id": 3,
        "device_hash": "abc",
        "device_id": 2,
    }
