"""Programs that make, tune and read file systems, by their names."""

from pathlib import PurePosixPath

from crashinit.model.observation import OperationRecord

MAKERS = ("mkfs", "mke2fs", "tune2fs", "resize2fs", "xfs_growfs", "xfs_admin", "e2fsck")
READERS = ("blkid", "dumpe2fs", "xfs_db", "xfs_info")


def program_of(operation: OperationRecord) -> str:
    """The program that an operation starts, or that asks for it, without its directory."""
    return PurePosixPath(operation.object if operation.kind == "exec" else operation.program).name


def is_maker(program: str) -> bool:
    """Whether a program makes or tunes file systems."""
    return program.partition(".")[0] in MAKERS


def makes_filesystem(operation: OperationRecord) -> bool:
    """A program that makes file systems is started, or at work."""
    return is_maker(program_of(operation))
