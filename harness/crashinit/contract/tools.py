"""Programs that make, tune and read file systems, by their names."""

MAKERS = ("mkfs", "mke2fs", "tune2fs", "resize2fs", "xfs_growfs", "xfs_admin", "e2fsck")
READERS = ("blkid", "dumpe2fs", "xfs_db", "xfs_info")


def is_maker(program: str) -> bool:
    """Whether a program makes or tunes file systems."""
    return program.partition(".")[0] in MAKERS
