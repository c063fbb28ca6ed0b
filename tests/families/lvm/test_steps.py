"""The map from operation to step for a driver that has LVM make its pool."""

from crashinit.families.lvm.steps import STEPS, steps_of

from ..traces import trace


def test_an_init_goes_through_the_steps_in_order() -> None:
    """Programs of LVM's begin the pool, a message to the pool begins the base."""
    steps = steps_of(
        trace(
            "file.create disk.img",
            "exec pvcreate",
            "dm.create pool lvcreate",
            "file.write lvm/backup/vg lvcreate",
            "dm.message pool|create_thin lvcreate",
            "dm.create base lvcreate",
            "exec mkfs.ext4",
            "dev.write base mkfs.ext4",
            "file.create state/base.json.tmp",
            "exit exit",
        )
    )

    assert steps == [
        "loopback", "pool-create", "pool-create", "pool-create", "base-create", "base-create", "mkfs", "mkfs",
        "metadata-save", "metadata-save",
    ]  # fmt: skip
    assert set(steps) == set(STEPS)


def test_what_lvm_writes_below_the_root_is_no_record_of_the_driver() -> None:
    """Its backups come with each change."""
    assert steps_of(trace("exec lvcreate", "exec mkfs.ext4", "file.write lvm/backup/vg lvchange"))[-1] == "mkfs"
