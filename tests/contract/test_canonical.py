"""The canonical state is the same wherever and under whatever numbers it was observed."""

import pytest
from crashinit.contract.canonical import canonical, differences, mask, masked
from crashinit.model.observation import DmDevice, FileEntry, Mount, Observation
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.builder import EXPECTATION, FAMILY, add, attached, observe

numbers = st.integers(0, 255)


@given(
    inode=st.integers(1, 2**40),
    loops=st.lists(numbers, min_size=2, max_size=2, unique=True),
    minor=numbers,
    base_id=st.integers(1, 99),
)
def test_numbers_of_the_machine_do_not_show(inode: int, loops: list[int], minor: int, base_id: int) -> None:
    """Inode, loop numbers and minors are the machine's; only facts that record a thin id may tell of it."""
    here = canonical(
        observe(inode=inode, data_loop=loops[0], metadata_loop=loops[1], pool_minor=minor, base_id=base_id), EXPECTATION
    )
    there = canonical(observe(), EXPECTATION)

    told = {difference.path.rpartition("/")[2] for difference in differences(here, there)}
    assert told <= {"device_id", "next_device_id"}


@given(order=st.permutations(range(3)))
def test_the_order_of_a_list_does_not_show(order: list[int]) -> None:
    """Two loop devices over one file are told apart by what they are, not by when they were found."""
    observation = add("loops", attached(9, "devicemapper/data", 512, autoclear=False))(observe())
    shuffled = observation.model_copy(update={"loops": [observation.loops[n] for n in order]})

    assert canonical(observation, EXPECTATION) == canonical(shuffled, EXPECTATION)


@given(clause=st.sampled_from([*FAMILY.clauses]), user_data=st.booleans())
def test_masking_twice_is_masking_once(clause: str, user_data: bool) -> None:
    """What a mask leaves, it leaves again; and it adds nothing."""
    state = canonical(observe(user_data=user_data), EXPECTATION)
    once = masked(state, clause)

    assert once == masked(once, clause)
    assert once.items() <= state.items()


def test_active_devices_and_mounts_are_named_by_what_they_are() -> None:
    """Tables name loops by their file, thin devices by their record; mounts by device and place below the root."""
    base = DmDevice(
        name="docker-254:0-1234-base",
        uuid="",
        device="254:1",
        suspended=False,
        read_only=False,
        open_count=1,
        live_table=["0 131072 thin 254:0 1"],
        inactive_table=[],
        status=["0 131072 thin 5760 131071"],
        registered=True,
    )
    mount = Mount(source="/dev/dm-1", target="/var/lib/thin/mnt/x", fstype="ext4", options="rw,noatime")
    state = canonical(add("mounts", mount)(add("dm", base)(observe())), EXPECTATION)

    assert state["dm/base/table/0"] == "0 131072 thin pool base"
    assert (
        (state["dm/pool/table/0"])
        == "0 524288 thin-pool loop devicemapper/metadata loop devicemapper/data 128 32768 1 skip_block_zeroing"
    )
    assert state["mounts/mnt/x#1/source"] == "base"


@pytest.mark.parametrize("disk", ["/dev/vda", "/dev/pmem0", "/dev/sda1"])
def test_the_disk_of_the_machine_has_one_name(disk: str) -> None:
    """A root that a driver mounts on itself lies there, and each provider calls it otherwise."""
    state = canonical(
        add("mounts", Mount(source=disk, target="/var/lib/thin", fstype="ext4", options="rw"))(observe()), EXPECTATION
    )

    assert state["mounts/.#1/source"] == "disk of the machine"


def test_a_disk_of_the_driver_keeps_its_name() -> None:
    """It is a difference if another one lies there."""
    state = canonical(
        add("mounts", Mount(source="/dev/vdb", target="/var/lib/thin", fstype="ext4", options="rw"))(observe()),
        EXPECTATION,
    )

    assert state["mounts/.#1/source"] == "/dev/vdb"


def test_metadata_of_unknown_format_is_not_compared() -> None:
    """Where the format is unknown its contents may hold times and random numbers."""
    state = canonical(observe(), EXPECTATION.model_copy(update={"metadata_format": "none"}))

    assert not [path for path in state if path.startswith("metadata/")]


def test_what_containerd_merely_counts_does_not_show() -> None:
    """A database's size, and the running number in a snapshot's key, tell how often something was tried."""

    def seen(number: int, size: int) -> Observation:
        entry = FileEntry(path="metadata.db", kind="file", mode=0o600, size=size)
        records = {f"metadata.db/v1/snapshots/default/{number}/base/id": "01"}
        return observe().model_copy(update={"files": [entry], "metadata": records})

    containerd = EXPECTATION.model_copy(update={"metadata_format": "containerd"})
    state = canonical(seen(1, 16384), containerd)

    assert state["metadata/metadata.db/v1/snapshots/default/*/base/id"] == "01"
    assert state == canonical(seen(2, 65536), containerd)


def test_each_allowance_names_its_clauses_and_reason_and_can_apply() -> None:
    """The mask is written data: every entry has a reason, and hides something that a good state holds."""
    state = canonical(observe(user_data=True), EXPECTATION)

    for allowance in mask():
        assert allowance.reason.endswith(".")
        assert set(allowance.clauses) <= FAMILY.clauses.keys()
        assert masked(state, allowance.clauses[0], [allowance]) != state
