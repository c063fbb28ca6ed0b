"""Readers of the table and status lines that device-mapper prints.

Source: Documentation/admin-guide/device-mapper/thin-provisioning.rst, "Reference".
"""

from dataclasses import dataclass

SECTOR_SIZE = 512  # bytes; SECTOR_SHIFT in the kernel is 9


class UnreadableLineError(ValueError):
    """A line that is not what its target prints; the message quotes it."""


@dataclass(frozen=True)
class PoolTable:
    """`START LENGTH thin-pool METADATA DATA BLOCK_SIZE LOW_WATER N FEATURE*`."""

    length: int  # sectors
    metadata_device: str  # "major:minor"
    data_device: str
    block_size: int  # sectors
    low_water_mark: int  # blocks
    features: frozenset[str]


@dataclass(frozen=True)
class PoolStatus:
    """`START LENGTH thin-pool TRANSACTION USED/TOTAL USED/TOTAL HELD_ROOT MODE FEATURE... needs_check|- LOW_WATER`."""

    transaction: int
    metadata_used: int  # blocks of 4096 bytes
    metadata_total: int
    data_used: int  # blocks of the pool
    data_total: int
    held_root: str  # "-": no metadata snapshot is held
    mode: str  # "rw", "ro", "out_of_data_space", or what a later kernel prints
    flags: frozenset[str]  # "discard_passdown", "queue_if_no_space", ...
    needs_check: bool


def target(line: str) -> str:
    """The name of the target that a table or status line is about, "" if it names none."""
    words = line.split()
    return words[2] if len(words) > 2 else ""


def target_failed(line: str) -> bool:
    """Whether a status line of thin or thin-pool says only that the target failed."""
    return line.split()[3:4] in (["Fail"], ["Error"])


def devices(line: str) -> tuple[str, ...]:
    """Every "major:minor" in a table line."""
    return tuple(word for word in line.split()[3:] if _is_device(word))


def read_pool_table(line: str) -> PoolTable:
    """Read a thin-pool table line. Raises UnreadableLineError."""
    words = _words(line, "thin-pool", 7)
    try:
        count = int(words[7]) if len(words) > 7 else 0
        features = words[8 : 8 + count]
        if len(features) != count:
            raise ValueError
        return PoolTable(int(words[1]), words[3], words[4], int(words[5]), int(words[6]), frozenset(features))
    except ValueError:
        raise UnreadableLineError(f"'{line}' is not a table of a thin pool") from None


def read_pool_status(line: str) -> PoolStatus:
    """Read a thin-pool status line. Raises UnreadableLineError, also for a pool that only says 'Fail' or 'Error'."""
    words = _words(line, "thin-pool", 8)
    try:
        metadata_used, metadata_total = (int(part) for part in words[4].split("/"))
        data_used, data_total = (int(part) for part in words[5].split("/"))
        flags = frozenset(words[8:])
        return PoolStatus(
            int(words[3]), metadata_used, metadata_total, data_used, data_total, words[6], words[7],
            flags - {"-", "needs_check"}, "needs_check" in flags,
        )  # fmt: skip
    except ValueError:
        raise UnreadableLineError(f"'{line}' is not the status of a thin pool that works") from None


def _words(line: str, name: str, least: int) -> list[str]:
    words = line.split()
    if target(line) != name or (len(words) < least and not target_failed(line)):
        raise UnreadableLineError(f"'{line}' is no line of a '{name}' target")
    if target_failed(line):
        raise UnreadableLineError(f"the '{name}' target says '{words[3]}'")
    return words


def _is_device(word: str) -> bool:
    major, colon, minor = word.partition(":")
    return bool(colon) and major.isdigit() and minor.isdigit()
