"""The reader of the drivers' metadata takes what is whole and names what is not."""

import json

import pytest
from crashinit.contract import formats
from crashinit.contract.formats import DeviceRecord, TransactionRecord, read_containerd, read_docker
from crashinit.families.thinpool.guest.records import record_text
from hypothesis import given
from hypothesis import strategies as st

DEVICE = '{"device_id":1,"size":1024,"transaction_id":1,"initialized":true,"deleted":false}'


def test_the_files_of_a_finished_init_are_read() -> None:
    """A record for each device, the transaction, and what concerns all devices."""
    read = read_docker(
        {
            "metadata/base": DEVICE,
            "metadata/transaction-metadata": '{"open_transaction_id":1,"device_hash":"","device_id":1}',
            "metadata/deviceset-metadata": '{"next_device_id":1,"BaseDeviceUUID":"u","BaseDeviceFilesystem":"ext4"}',
        },
        "metadata",
    )

    assert DeviceRecord("base", "metadata/base", 1, 1024, 1, True, False) == read.base
    assert TransactionRecord(1, "", 1) == read.transaction
    assert (read.base_uuid, read.base_fstype, read.unreadable) == ("u", "ext4", {})


def test_temporary_and_migrated_files_are_no_devices() -> None:
    """An interrupted write, an old file put aside and files elsewhere are not records."""
    read = read_docker({"metadata/.tmp1": "", "metadata/x.migrated": "{", "other/base": DEVICE}, "metadata")

    assert (read.devices, read.unreadable) == ({}, {})


def test_a_file_from_before_later_fields_is_read() -> None:
    """Records written before 'deleted' and the base's UUID existed are whole without them."""
    read = read_docker(
        {
            "metadata/base": '{"device_id":0,"size":1,"transaction_id":1,"initialized":true}',
            "metadata/deviceset-metadata": '{"next_device_id":1}',
        },
        "metadata",
    )

    assert read.unreadable == {}
    assert read.base is not None and not read.base.deleted


@given(
    name=st.sampled_from(["base", "deviceset-metadata", "transaction-metadata"]), text=st.text() | st.binary().map(repr)
)
def test_no_text_breaks_the_reader(name: str, text: str) -> None:
    """Whatever a crash leaves in a file, the reader names the file and goes on."""
    read = read_docker({f"metadata/{name}": text, "metadata/layer": DEVICE}, "metadata")

    assert "layer" in read.devices
    assert all(f"'metadata/{name}'" in sentence for sentence in read.unreadable.values())


@given(
    value=st.dictionaries(
        st.sampled_from(["device_id", "size", "transaction_id", "initialized"]), st.none() | st.text()
    )
)
def test_a_field_of_the_wrong_type_makes_a_file_unreadable(value: dict[str, object]) -> None:
    """A record is whole or it is none: no field is guessed."""
    assert {"metadata/base"} == read_docker({"metadata/base": json.dumps(value)}, "metadata").unreadable.keys()


SNAP = '{"device_id":2,"size":1024,"name":"p-snap-1","parent_name":"","state":4,"error":""}'


def test_containerds_base_is_its_working_device_without_a_parent() -> None:
    """A faulty device stays on record; the base is initialised once a snapshot stands for it."""
    faulty = '{"device_id":1,"size":1024,"name":"p-snap-9","parent_name":"","state":13,"error":"x"}'
    child = '{"device_id":3,"size":1024,"name":"p-snap-2","parent_name":"p-snap-1","state":4,"error":""}'
    texts = {"p.db/devices/p-snap-9": faulty, "p.db/devices/p-snap-1": SNAP, "p.db/devices/p-snap-2": child}
    committed = {"metadata.db/v1/snapshots/default/1/base/id": "01", **texts}

    read = formats.read("containerd", committed, "metadata")
    assert DeviceRecord("base", "p.db/devices/p-snap-1", 2, 1024, 0, True, False) == read.base
    assert sorted(device.device_id for device in read.devices.values()) == [1, 2, 3]
    assert (read.transaction, read.keeps_uuid, read.unreadable) == (None, False, {})

    half_made = formats.read("containerd", texts, "metadata").base
    assert half_made is not None
    assert not half_made.initialized


def test_a_snapshots_number_may_take_more_than_a_byte() -> None:
    """Snapshot ids are written as Go's uvarint."""
    device = SNAP.replace("p-snap-1", "p-snap-300")
    texts = {"p.db/devices/p-snap-300": device, "metadata.db/v1/snapshots/default/300/base/id": "ac02"}
    base = formats.read("containerd", texts, "metadata").base

    assert base is not None
    assert base.initialized


def test_a_record_of_containerd_that_cannot_be_read_is_named() -> None:
    """It is a sentence with the record's path."""
    read = formats.read("containerd", {"p.db/devices/x": '{"name":"x"}'}, "metadata")

    assert read.unreadable == {"p.db/devices/x": "'p.db/devices/x' cannot be read: 'state' is no whole number"}


@given(st.dictionaries(st.sampled_from(["p.db/devices/a", "metadata.db/v1/snapshots/a/id"]), st.text()))
def test_any_text_of_containerd_is_read_without_an_exception(texts: dict[str, str]) -> None:
    """Whatever lies in the databases, the reader ends with an answer."""
    assert formats.read("containerd", texts, "metadata").base is None


def test_an_unknown_format_has_no_records() -> None:
    """What cannot be read is not guessed at."""
    assert formats.read("none", {"metadata/base": DEVICE}, "metadata").devices == {}


@pytest.mark.parametrize("number", [1, 9, 31, 32, 49, 127, 128, 300])
def test_a_snapshots_number_is_read_as_it_is_recorded(number: int) -> None:
    """Of the bytes of a number some are letters; evidence of the first format has such a number as a letter."""
    low, high = number & 0x7F, number >> 7
    raw = bytes([low | 0x80, high]) if high else bytes([low])
    key = "v1/snapshots/default/7/base/id"
    texts = [record_text(key, raw), *([raw.decode()] if 32 <= number < 127 else [])]
    device = {"name": f"p-snap-{number}", "parent_name": "", "device_id": 1, "size": 1, "state": 4}

    assert texts[0] == raw.hex()
    for text in texts:
        found = read_containerd({f"m.db/{key}": text, "p.db/devices/x": json.dumps(device)})
        assert found.base is not None
        assert found.base.initialized
