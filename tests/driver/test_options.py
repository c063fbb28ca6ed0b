"""thindriver.options: parsing by dockerd's rules, and what is refused before anything is touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thindriver.errors import DriverError, UsageError
from thindriver.options import Options, ram_in_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("1k", 1 << 10), ("64M", 64 << 20), ("64mb", 64 << 20), ("1tB", 1 << 40)],
)
def test_sizes_have_binary_suffixes_in_any_case(text: str, size: int) -> None:
    """A suffix multiplies by a power of 1024, in any case, with or without a trailing b."""
    assert size == ram_in_bytes(text)


@pytest.mark.parametrize("text", ["", "M", "-1", "1.5G", "1 M", "1KiB", "1x", "1mm", "٣"])
def test_other_sizes_are_usage_errors(text: str) -> None:
    """Anything else is refused, and the message quotes it."""
    with pytest.raises(UsageError, match="invalid size"):
        ram_in_bytes(text)


@given(st.integers(min_value=0, max_value=1 << 50), st.sampled_from("kmgtpKMGTP"))
def test_a_suffix_is_a_factor(number: int, suffix: str) -> None:
    """For every number n and suffix s, 'ns' is n times 's'."""
    assert number * ram_in_bytes(f"1{suffix}") == ram_in_bytes(f"{number}{suffix}")


def test_defaults_are_dockerd_s() -> None:
    """Without options: 10 GiB base, 100 GiB data, 2 GiB metadata, ext4, blocks of 64 KiB, discard on."""
    options = Options([])

    assert (options.base_size, options.data_size, options.metadata_size) == (10 << 30, 100 << 30, 2 << 30)
    assert (options.filesystem, options.block_size, options.discard) == ("ext4", 128, True)


def test_keys_are_trimmed_and_lowered_and_values_split_at_the_first_equals_sign() -> None:
    """' DM.MkfsArg = -O a=b ' sets dm.mkfsarg to '-O a=b'."""
    assert Options([" DM.MkfsArg = -O a=b "]).mkfs_arguments == ["-O a=b"]


def test_repeatable_options_add_up_in_order() -> None:
    """dm.mkfsarg and dm.mountopt may be given several times."""
    options = Options(["dm.mkfsarg=-b", "dm.mountopt=noatime", "dm.mkfsarg=4096", "dm.mountopt=ro"])

    assert (options.mkfs_arguments, options.mount_options) == (["-b", "4096"], ["noatime", "ro"])


def test_a_pool_name_loses_its_directory() -> None:
    """dm.thinpooldev takes a name or a path in /dev/mapper."""
    assert Options(["dm.thinpooldev=tp"]).pool == Options(["dm.thinpooldev=/dev/mapper/tp"]).pool == "tp"


@pytest.mark.parametrize(
    ("given", "discard"),
    [
        ([], True),
        (["dm.blkdiscard=false"], False),
        (["dm.thinpooldev=tp"], False),
        (["dm.thinpooldev=tp", "dm.blkdiscard=true"], True),
        (["dm.blkdiscard=T", "dm.thinpooldev=tp"], True),
    ],
)
def test_discard_is_off_on_given_devices_unless_asked_for(given: list[str], discard: bool) -> None:
    """Wherever the option stands, an explicit dm.blkdiscard wins over the default."""
    assert discard is Options(given).discard


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("dm.basesize", "key=value"),
        ("dm.bogus=1", "'dm.bogus'"),
        ("dm.fs=btrfs", "'btrfs'"),
        ("dm.fs=", "''"),
        ("dm.basesize=much", "'much'"),
        ("dm.basesize=0", "dm.basesize"),
        ("dm.basesize=1000", "512"),
        ("dm.blocksize=96k", "64K"),
        ("dm.blocksize=2g", "64K"),
        ("dm.blkdiscard=maybe", "'maybe'"),
        ("dm.datadev=", "dm.datadev"),
        ("dm.thinpooldev=/dev/mapper/", "dm.thinpooldev"),
    ],
)
def test_wrong_options_are_usage_errors_that_name_the_culprit(given: str, said: str) -> None:
    """Exit status 2, one sentence, with the key or value that is wrong."""
    with pytest.raises(UsageError) as caught:
        Options([given])

    assert caught.value.exit_code == 2
    assert said in str(caught.value)


def test_data_and_metadata_cannot_be_one_device() -> None:
    """The same path twice is refused, also through another spelling of it."""
    with pytest.raises(UsageError, match="same device"):
        Options(["dm.datadev=/dev/null", "dm.metadatadev=/dev/../dev/null"])


def test_a_pool_excludes_devices() -> None:
    """dm.thinpooldev together with dm.datadev makes no sense."""
    with pytest.raises(UsageError, match="together"):
        Options(["dm.thinpooldev=tp", "dm.datadev=/dev/sda"])


def test_given_devices_must_be_block_devices() -> None:
    """/dev/null is a character device: refused before anything is touched."""
    with pytest.raises(DriverError, match="'/dev/null' is not a block device"):
        Options(["dm.datadev=/dev/null"]).check_devices()


def test_options_of_later_dockerds_are_accepted() -> None:
    """Options without a bearing on this driver do not bar a command line made for dockerd."""
    assert Options(["dm.use_deferred_removal=true"]).filesystem == "ext4"
