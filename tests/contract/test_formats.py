"""The reader of the drivers' metadata takes what is whole and names what is not."""

import json

from crashinit.contract.formats import DeviceRecord, TransactionRecord, read_docker
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
