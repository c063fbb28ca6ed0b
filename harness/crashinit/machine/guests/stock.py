"""The images that the cache holds: listed, carried to another host and back, removed.

An exported image is a tar archive packed with gzip: `manifest.json` first (the key, and of each file its size and
SHA-256), then the files. Blocks of zeros stay holes when it is read back.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from crashinit.errors import CrashinitError, UsageError
from crashinit.files.safe import replacing
from crashinit.machine.cache import Shelf, allocated, disk_errors, require_space
from crashinit.machine.guests.image import FACTS, KEEP, PACKAGES, Image

FORM = 1
MANIFEST = "manifest.json"
FILES = ("facts.json", "vmlinuz", "initrd.gz", "empty.qcow2", "root.img")
PIECE = 1 << 20
LARGEST = 16 << 30  # bytes of one file
KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Entry:
    """One image in the cache."""

    image: Image
    size: int  # bytes on the disk
    used: float  # when it was used last, seconds since 1970
    facts: dict[str, Any]  # what is in it; {} of one without that record

    @property
    def key(self) -> str:
        return self.image.key

    @property
    def guest(self) -> str:
        return str(self.facts.get("guest", ""))

    @property
    def packages(self) -> list[str]:
        """Those that it has beyond the standard ones and the kernel."""
        asked = set(map(str, self.facts.get("asked", ()))) - set(PACKAGES)
        return sorted(package for package in asked if not package.startswith("linux-image"))


def entries() -> list[Entry]:
    """All images, the one that was used last first."""
    return [_entry(path) for path in Shelf("images", KEEP).entries()]


def _entry(path: Path) -> Entry:
    image = Image(path.name, path)
    try:
        facts = image.facts
    except (OSError, ValueError):
        facts = {}
    return Entry(image, allocated(path), path.stat().st_mtime, facts)


def chosen(names: Sequence[str]) -> list[Entry]:
    """The images with these keys, or of these guests. Raises UsageError for a name of none."""
    every = entries()
    found: list[Entry] = []
    for name in names:
        here = [entry for entry in every if name in (entry.key, entry.guest)]
        if not here:
            known = ", ".join(sorted({f"'{entry.guest}'" for entry in every if entry.guest})) or "none"
            raise UsageError(
                f"there is no image '{name}': the cache has images of {known}; 'crashinit image list' shows their keys."
            )
        found += [entry for entry in here if entry not in found]
    return found


def remove(entry: Entry) -> bool:
    """Remove an image; False if somebody is building or taking it."""
    return Shelf("images", KEEP).remove(entry.key)


def export(entry: Entry, target: Path) -> None:
    """Write an image into one file, whole or not at all. Raises UsageError, HostError."""
    files = {name: entry.image.path / name for name in FILES}
    try:
        described = {name: {"size": path.stat().st_size, "sha256": _sum(path)} for name, path in files.items()}
    except OSError as error:
        raise UsageError(f"the image '{entry.key}' is not whole ('{error.filename}'): build it again.") from error
    manifest = json.dumps({"form": FORM, "key": entry.key, "files": described}).encode()
    if not target.absolute().parent.is_dir():
        raise UsageError(f"'{target.parent}' is no directory: name a file in one that there is.")
    with replacing(target) as file, tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
        about = tarfile.TarInfo(MANIFEST)
        about.size = len(manifest)
        archive.addfile(about, io.BytesIO(manifest))
        for name, path in files.items():
            archive.add(path, arcname=name, recursive=False)


def bring_in(source: Path) -> Entry:
    """Put an exported image into the cache. What is there already is not written again.

    Raises UsageError when the file is none, is damaged, or is of another version; nothing of it is left then.
    """
    try:
        with tarfile.open(source, mode="r:gz") as archive:
            key, files = _manifest(archive, source)
            path = Shelf("images", KEEP).get(key, lambda where: _unpack(archive, files, where, source))
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise UsageError(f"'{source}' does not exist.") from error
        if isinstance(error, OSError) and error.errno is not None:
            raise UsageError(f"'{source}' cannot be read: {error.strerror}.") from error
        raise _damaged(source, str(error)) from error
    return _entry(path)


def _manifest(archive: tarfile.TarFile, source: Path) -> tuple[str, dict[str, Any]]:
    first = archive.next()
    if first is None or first.name != MANIFEST or first.size > PIECE:
        raise UsageError(f"'{source}' is no exported image: 'crashinit image export' writes one.")
    content = archive.extractfile(first)
    data = json.loads(content.read()) if content else None
    if not isinstance(data, dict) or data.get("form") != FORM:
        raise UsageError(f"'{source}' is an image of another version of crashinit: build or export it with this one.")
    key, files = data.get("key"), data.get("files")
    if not isinstance(key, str) or not KEY.fullmatch(key) or not isinstance(files, dict) or set(files) != set(FILES):
        raise _damaged(source, "its list of files is not one of an image")
    return key, files


def _unpack(archive: tarfile.TarFile, files: dict[str, Any], where: Path, source: Path) -> None:
    require_space(where, 1 << 30)
    for name in FILES:
        member = archive.next()
        if member is None or member.name != name or not member.isreg() or member.size > LARGEST:
            raise _damaged(source, f"'{name}' is missing")
        content = archive.extractfile(member)
        assert content is not None
        with disk_errors(where), (where / name).open("wb") as file:
            digest = _copied(content, file, member.size)
        if digest != files[name].get("sha256"):
            raise _damaged(source, f"'{name}' is not what was exported")
    if (where / FACTS).stat().st_size > PIECE or not isinstance(json.loads((where / FACTS).read_text()), dict):
        raise _damaged(source, f"'{FACTS}' is no record")


def _copied(content: IO[bytes], file: IO[bytes], size: int) -> str:
    """Copy so many bytes, zeros as holes; their SHA-256."""
    total = hashlib.sha256()
    while piece := content.read(PIECE):
        total.update(piece)
        if piece.count(0) == len(piece):
            file.seek(len(piece), 1)
        else:
            file.write(piece)
    file.truncate(size)
    return total.hexdigest()


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(source: Path, why: str) -> CrashinitError:
    return UsageError(f"'{source}' is damaged ({why}): export it again, nothing of it was taken.")
