"""The map from operation to step."""

from crashinit.families.thinpool.steps import STEPS, steps_of

from ..traces import trace

INIT = (
    "file.mkdir metadata",
    "file.create devicemapper/data",
    "loop.configure data",
    "dm.create pool",
    "dm.table-load pool python3 thin-pool",
    "dm.resume pool",
    "file.create metadata/.tmp*",
    "dm.message pool|create_thin",
    "dm.message pool|set_transaction_id",
    "dm.create base",
    "dm.table-load base python3 thin",
    "dm.resume base",
    "file.rename metadata/deviceset-metadata",
    "exec mkfs.ext4",
    "dev.write base mkfs.ext4",
    "exec tune2fs",
    "exec blkid",
    "file.rename metadata/base",
    "dm.remove base",
    "exit driver",
)


def test_an_init_goes_through_the_five_steps() -> None:
    """Every step occurs, in order, and begins where it should."""
    steps = steps_of(trace(*INIT))

    assert tuple(dict.fromkeys(steps)) == STEPS
    assert [steps.index(step) for step in STEPS] == [0, 3, 6, 13, 17]


def test_an_empty_trace_has_no_steps() -> None:
    """There is nothing to map."""
    assert steps_of([]) == []


def test_every_prefix_has_the_steps_of_the_whole() -> None:
    """A trace cut short by a kill is mapped as the same operations are in the whole one."""
    whole = steps_of(trace(*INIT))

    assert [steps_of(trace(*INIT[:n])) for n in range(len(INIT))] == [whole[:n] for n in range(len(INIT))]


def test_an_orphaned_mkfs_stays_in_its_step() -> None:
    """What mkfs writes after the driver has gone on is still mkfs; the driver's own work is not."""
    steps = steps_of(trace(*INIT[:15], "file.rename metadata/base", "dev.write base mkfs.ext4", "file.fsync metadata"))

    assert steps[-3:] == ["metadata-save", "mkfs", "metadata-save"]


def test_a_driver_that_flushes_what_mkfs_wrote_is_still_at_mkfs() -> None:
    """Until the result of mkfs is on the disk, its step is not over."""
    steps = steps_of(trace(*INIT[:16], "dev.fsync base", "file.rename metadata/base"))

    assert steps[-2:] == ["mkfs", "metadata-save"]


def test_reading_the_uuid_later_is_not_mkfs() -> None:
    """blkid after the first save does not lead back."""
    assert steps_of(trace(*INIT[:18], "exec blkid", "dm.remove base"))[-2:] == ["metadata-save", "metadata-save"]


def test_a_second_init_makes_no_file_system() -> None:
    """Verifying an existing base belongs to base-create, the exit to metadata-save."""
    steps = steps_of(trace("file.fsync metadata", "dm.create base", "dm.table-load base python3 thin", "exit driver"))

    assert steps == ["loopback", "base-create", "base-create", "metadata-save"]


def test_a_given_pool_needs_no_pool_create() -> None:
    """A driver that is given its pool goes from its own files to the base."""
    steps = steps_of(trace("file.write pool.db", "exec dmsetup", "dm.message given|create_thin dmsetup"))

    assert steps == ["loopback", "loopback", "base-create"]


def test_what_only_asks_moves_no_trace_on() -> None:
    """Points for errors alone belong to the step that has been reached: every other operation keeps its own."""
    asked = [line for operation in INIT for line in ("dm.info base", "file.open metadata/base", operation)]
    steps = steps_of(trace(*asked))

    assert steps[2::3] == steps_of(trace(*INIT))
    assert steps[0] == "loopback"
