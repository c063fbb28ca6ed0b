"""A thin pool's own metadata, and what it leads to: the base's file system and the contents of thin devices.

An inactive thin device is read through its mappings from the pool's data device into a sparse image in memory, so
that looking activates nothing, wakes no udev rule, and opens nothing that the driver may want to remove.
"""

import errno
import hashlib
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import dm, process
from .filesystem import filesystem
from .gaps import Gaps
from .names import read_text

SECTOR = 512  # bytes
TOOL_LIMIT = 30.0  # seconds for one tool
CHECK_LIMIT = 30.0  # seconds for one checking tool
IMAGE_LIMIT = 1 << 28  # mapped bytes of a base that are copied into memory
SUPERBLOCK = 4096  # bytes; all zero: the pool has not been formatted yet
IMAGE = Path("/run/crashinit-base.img")  # always the same name, which the checks print


@dataclass(frozen=True)
class BaseRecord:
    """What the driver's records say of the base."""

    id: int
    size: int  # bytes
    name: str = ""  # of its dm device, where the records give it


@dataclass(frozen=True)
class Where:
    """Where a thin pool is, and what is to be looked at in it."""

    pool_name: str
    base_name: str
    data: str  # file or block device below the pool
    metadata: str  # file or block device that holds the pool's metadata
    digests: bool  # of the data of each thin device


@dataclass(frozen=True)
class Extent:
    """A run of mapped blocks."""

    origin: int  # first block in the thin device
    data: int  # first block in the data device
    length: int


@dataclass(frozen=True)
class Thin:
    """One thin device by the pool's metadata."""

    id: int
    mapped_blocks: int
    transaction: int
    extents: tuple[Extent, ...]


def live_pool(where: Where, devices: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The pool, if it is there with a live thin-pool table."""
    for device in devices:
        if device["name"] == where.pool_name and any(line.split()[2] == "thin-pool" for line in device["live_table"]):
            return device
    return None


def look(
    where: Where, devices: Sequence[Mapping[str, Any]], known: BaseRecord | None, gaps: Gaps
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The pool's metadata and the base's file system, as contract.observation has them."""
    base = next((device for device in devices if device["name"] == where.base_name and device["live_table"]), None)
    pool = live_pool(where, devices)
    if any(device["suspended"] for device in (pool, base) if device):
        gaps.state("pool, base", "the pool or the base is suspended, so neither could be read")
        return None, None
    dumped = None
    with gaps.looking("pool, base", "the pool's metadata could not be read"):
        dumped = _dump(where, pool)
    if dumped is None:
        return None, None
    block, transaction, thins, data = dumped
    digests = {}
    for thin in thins if where.digests else ():
        with gaps.looking("pool", f"the thin device {thin.id} could not be read"):
            digests[thin.id] = digest(data, thin.extents, block * SECTOR)
    listed = [
        {
            "id": thin.id,
            "mapped_blocks": thin.mapped_blocks,
            "transaction": thin.transaction,
            "digest": digests.get(thin.id, ""),
        }
        for thin in thins
    ]
    found = {"transaction": transaction, "block_size": block, "thin_devices": listed}
    with gaps.looking("base", "the base's file system could not be looked at"):
        if base:
            size = sum(int(line.split()[1]) for line in base["live_table"]) * SECTOR
            return found, filesystem(f"/dev/dm-{base['device'].partition(':')[2]}", size)
        thin_base = next((thin for thin in thins if known and thin.id == known.id), None)
        if known and thin_base:
            return found, _image(data, thin_base, block * SECTOR, known.size)
    return found, None


def _dump(where: Where, pool: Mapping[str, Any] | None) -> tuple[int, int, list[Thin], str] | None:
    """Block size in sectors, transaction, thin devices, and where the data are; None if no pool was ever made.

    Raises OSError or ValueError when the metadata cannot be read, ToolError when the harness cannot.
    """
    if pool is None and not where.metadata:
        return None
    if pool is None:
        try:
            with Path(where.metadata).open("rb") as file:
                superblock = file.read(SUPERBLOCK)
        except FileNotFoundError:
            return None
        if not any(superblock):
            return None
        return (*_parse(_thin_dump([where.metadata])), where.data)
    words = str(pool["live_table"][0]).split()
    meta, data = device_path(words[3]), device_path(words[4])
    try:
        dm.message(where.pool_name, "reserve_metadata_snap")
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        dm.message(where.pool_name, "release_metadata_snap")  # an earlier probe died before it could
        dm.message(where.pool_name, "reserve_metadata_snap")
    try:
        document = _thin_dump(["-m", meta])
    finally:
        dm.message(where.pool_name, "release_metadata_snap")
    return (*_parse(document), data)


def _thin_dump(arguments: list[str]) -> bytes:
    ended = process.tool(["thin_dump", *arguments], TOOL_LIMIT)
    if ended.exit:
        raise ValueError(f"thin_dump ended with {ended.exit}: {' '.join(ended.output[-300:].split())}")
    return ended.stdout


def _parse(document: bytes) -> tuple[int, int, list[Thin]]:
    """Block size, transaction and thin devices of thin_dump's XML. Raises ValueError."""
    try:
        root = ET.fromstring(document)
        thins = [
            Thin(
                int(device.attrib["dev_id"]),
                int(device.attrib["mapped_blocks"]),
                int(device.attrib["transaction"]),
                tuple(_extents(device)),
            )
            for device in root.iter("device")
        ]
        return int(root.attrib["data_block_size"]), int(root.attrib["transaction"]), thins
    except (ET.ParseError, KeyError) as error:
        raise ValueError(f"thin_dump's answer is not what it should be: {error}") from error


def _extents(device: ET.Element) -> Iterator[Extent]:
    for element in device:
        if element.tag == "single_mapping":
            yield Extent(int(element.attrib["origin_block"]), int(element.attrib["data_block"]), 1)
        elif element.tag == "range_mapping":
            begin, data = int(element.attrib["origin_begin"]), int(element.attrib["data_begin"])
            yield Extent(begin, data, int(element.attrib["length"]))


def device_path(number: str) -> str:
    """The kernel's own node of "major:minor"."""
    return f"/dev/{Path(f'/sys/dev/block/{number}').readlink().name}"


def blocks(data: str, extents: Sequence[Extent], block: int) -> Iterator[tuple[int, bytes]]:
    """(offset in the thin device, bytes) of each mapped block of `block` bytes, in order. Raises OSError.

    A loop device is read through its backing file: the pool writes past the loop device's own page cache.
    """
    with Path(backing_of(data)).open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # a block device's page cache may be stale
        for extent in extents:
            for index in range(extent.length):
                content = os.pread(file.fileno(), block, (extent.data + index) * block)
                if len(content) != block:
                    raise OSError(errno.EIO, f"block {extent.data + index} lies beyond the end of '{data}'")
                yield (extent.origin + index) * block, content


def backing_of(path: str) -> str:
    """The backing file of a loop device that is attached from its file's beginning; any other path unchanged."""
    backing = read_text(Path("/sys/block") / Path(path).name / "loop/backing_file")
    return backing if backing and Path(backing).exists() else path


def digest(data: str, extents: Sequence[Extent], block: int) -> str:
    """sha256 over the offset (8 bytes, little-endian) and the bytes of each mapped block."""
    total = hashlib.sha256()
    for offset, content in blocks(data, extents, block):
        total.update(offset.to_bytes(8, "little"))
        total.update(content)
    return total.hexdigest()


def _image(data: str, thin: Thin, block: int, size: int) -> dict[str, Any]:
    """Look at an inactive base through a sparse copy of its mapped blocks."""
    if thin.mapped_blocks * block > IMAGE_LIMIT:
        raise process.ToolError(f"it has {thin.mapped_blocks} mapped blocks, more than the harness takes into memory")
    zeros = bytes(block)
    try:
        with IMAGE.open("wb") as image:
            image.truncate(size)
            for offset, content in blocks(data, thin.extents, block):
                if content != zeros and offset < size:
                    os.pwrite(image.fileno(), content[: size - offset], offset)
        return filesystem(str(IMAGE), size)
    finally:
        IMAGE.unlink(missing_ok=True)


def thin_check(where: Where, devices: Sequence[Mapping[str, Any]], gaps: Gaps) -> dict[str, Any] | None:
    """Check the pool's metadata, which nobody uses any more; thin_check without options only reads."""
    if live_pool(where, devices) is not None:
        gaps.state("thin_check", f"the pool '{where.pool_name}' is still active, so its metadata was not checked")
        return None
    with gaps.looking("thin_check", "the pool's metadata could not be checked"):
        if Path(where.metadata).exists():
            ended = process.tool(["thin_check", where.metadata], CHECK_LIMIT)
            return {"argv": ended.argv, "exit": ended.exit, "output": ended.output}
    return None
