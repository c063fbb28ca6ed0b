"""The map from operation to step for a driver of one volume."""

from crashinit.families.volume.steps import STEPS, steps_of

from ..traces import trace


def test_an_init_goes_through_the_steps_in_order() -> None:
    """Each step begins with what only it does."""
    steps = steps_of(
        trace(
            "file.create disk.img",
            "loop.configure disk.img",
            "exec cryptsetup",
            "dm.create crypt",
            "exec mkfs.ext4",
            "dev.write crypt mkfs.ext4",
            "mount.mount mnt",
            "file.create state/base.json.tmp",
            "exit exit",
        )
    )

    assert steps == [
        "loopback", "loopback", "map", "map", "mkfs", "mkfs", "mount", "metadata-save", "metadata-save"
    ]  # fmt: skip
    assert set(steps) == set(STEPS)


def test_a_later_init_passes_mkfs_over() -> None:
    """What is there already is mounted, and a program that only looks is part of the step that goes on."""
    steps = steps_of(trace("loop.configure disk.img", "exec blkid", "mount.mount mnt", "exit exit"))

    assert steps == ["loopback", "loopback", "mount", "metadata-save"]


def test_a_file_before_the_mount_is_no_record() -> None:
    """The image and the lock are files below the root as well."""
    assert steps_of(trace("file.create lock", "exec mkfs.ext4", "file.mkdir mnt"))[-1] == "mkfs"
