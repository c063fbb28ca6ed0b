"""The cache on disk, shared by all harness processes: images, templates, plans, bundles, what the accelerator is.

An entry is a directory under a key that names all that went into it. It is built by one process at a time,
under a lock, in a temporary directory that is renamed when it is complete: what exists is whole. The
temporary directory's name follows from the key, so that whoever gets the lock next finds a dead builder's
leftovers and sweeps them.
"""

import errno
import hashlib
import os
import pwd
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from crashinit.errors import HostError, UsageError

MIB = 1024 * 1024
GIB = 1024 * MIB
KINDS = ("images", "templates", "boxes", "bundles", "plans")  # what entries count towards the limit
LIMIT = "20G"  # of them all together, unless $CRASHINIT_CACHE_LIMIT says otherwise


def cache_dir() -> Path:
    """$CRASHINIT_CACHE, by default ~/.cache/crashinit; made if it does not exist."""
    path = Path(os.environ.get("CRASHINIT_CACHE") or Path.home() / ".cache" / "crashinit").absolute()
    try:
        made = [place for place in (path, *path.parents) if not place.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for place in reversed(made):
            give_back(place)
    except OSError as problem:
        said = f"cannot be reached: '{shut}' may not be entered" if (shut := _shut(path)) else "cannot be made"
        raise HostError(
            f"the cache directory '{path}' {said} ({problem.strerror}); set CRASHINIT_CACHE to another one"
        ) from problem
    if _shut(path):
        raise HostError(
            f"the cache directory '{path}' may not be entered by this user; set CRASHINIT_CACHE to another one"
        )
    return path


def _shut(path: Path) -> Path | None:
    """The first directory on the way to `path`, itself included, that this user may not enter."""
    for place in reversed((path, *path.parents)):
        if not place.is_dir():
            return None
        if not os.access(place, os.X_OK, effective_ids=True):
            return place
    return None


def give_back(path: Path) -> None:
    """Give a file or directory that root made in a user's directory to this user, who called root by sudo(8).

    Else the user could not use the cache any more after `sudo` built an image there.
    """
    caller = os.environ.get("SUDO_UID", "")
    if os.geteuid() != 0 or not caller.isdecimal():
        return
    directory = path.parent.stat()
    if directory.st_uid == int(caller) != 0:
        for each in (path, *path.rglob("*")) if path.is_dir() else (path,):
            os.chown(each, directory.st_uid, directory.st_gid, follow_symlinks=False)


def digest(*parts: bytes | str) -> str:
    """A short key over `parts`, which are told apart by their lengths."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()[:16]


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn a full disk, a missing right or a read-only disk below `where` into one sentence for people."""
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HostError(
                f"the disk of '{where}' is full; make room there, or set CRASHINIT_CACHE to a directory elsewhere"
            ) from problem
        if problem.errno in (errno.EACCES, errno.EPERM) and (owner := _other_owner(Path(problem.filename or where))):
            raise HostError(
                f"'{problem.filename or where}' belongs to {owner} and cannot be written: run "
                f"'sudo chown -R {os.geteuid()} {shlex.quote(str(cache_dir()))}', or set CRASHINIT_CACHE to another "
                "directory"
            ) from problem
        if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise HostError(
                f"'{problem.filename or where}' cannot be written ({problem.strerror}); "
                "set CRASHINIT_CACHE to a directory that can"
            ) from problem
        raise


def _other_owner(path: Path) -> str:
    """Who owns the file, or the directory in which it was to be made; "" if that is this user."""
    place = next((place for place in (path, *path.parents) if os.access(place, os.F_OK)), Path("/"))
    owner = place.stat().st_uid
    if owner == os.geteuid():
        return ""
    try:
        return f"'{pwd.getpwuid(owner).pw_name}'"
    except KeyError:  # no user of this host
        return f"the user {owner}"


def require_space(where: Path, size: int) -> None:
    """Raise HostError when the file system of `where` has fewer than `size` bytes free."""
    free = shutil.disk_usage(where).free
    if free < size:
        raise HostError(
            f"'{where}' has {free // MIB} MB free and {size // MIB} MB are needed; "
            "make room there, or set CRASHINIT_CACHE to a directory elsewhere"
        )


def limit() -> int:
    """How many bytes all entries may take together: $CRASHINIT_CACHE_LIMIT. Raises UsageError."""
    said = os.environ.get("CRASHINIT_CACHE_LIMIT") or LIMIT
    match = re.fullmatch(r"(\d{1,6}(?:\.\d)?)([MGT])", said)
    if not match:
        raise UsageError(f"CRASHINIT_CACHE_LIMIT is '{said}', but must be a size such as 500M or 20G")
    return int(float(match[1]) * {"M": MIB, "G": GIB, "T": 1024 * GIB}[match[2]])


def allocated(path: Path) -> int:
    """Bytes that a file or directory takes on the disk; of a sparse file what was written (stat(2), st_blocks)."""
    total = 0
    for each in (path, *path.rglob("*")):
        with suppress(FileNotFoundError):  # another process has just removed it
            total += each.lstat().st_blocks * 512
    return total


class Shelf:
    """One kind of cache entries: the directory `kind` of the cache, of which the newest `keep` are kept."""

    def __init__(self, kind: str, keep: int, note: Callable[[str], None] = lambda text: None) -> None:
        """`note`: is told what was removed for want of room."""
        self.path = cache_dir() / kind
        self.keep = keep
        self._note = note

    def get(self, key: str, build: Callable[[Path], None]) -> Path:
        """The entry `key`; if there is none, `build` fills an empty directory with it.

        Another process that wants the same entry waits until this one is done. Raises HostError on a full disk.
        """
        with disk_errors(self.path):
            if not self.path.exists():
                self.path.mkdir(exist_ok=True)
                give_back(self.path)
            entry, rubble = self.path / key, self.path / f"{key}.tmp"
            with self._locked(key):
                if not entry.is_dir():
                    if rubble.exists():
                        shutil.rmtree(rubble)
                    rubble.mkdir()
                    try:
                        build(rubble)
                        give_back(rubble)
                        rubble.rename(entry)
                    finally:
                        shutil.rmtree(rubble, ignore_errors=True)
                    self._make_room(entry)
                os.utime(entry)
            self._prune(key)
            return entry

    def find(self, key: str) -> Path | None:
        """The entry `key`, if it is there; it counts as used."""
        entry = self.path / key
        try:
            os.utime(entry)
        except FileNotFoundError:
            return None
        except PermissionError:  # somebody else's: it is read all the same
            pass
        return entry

    def entries(self) -> list[Path]:
        """All that is whole, the one that was used last first."""
        found = self.path.iterdir() if self.path.is_dir() else ()
        return sorted((path for path in found if path.is_dir() and path.suffix != ".tmp"), key=_used, reverse=True)

    def remove(self, key: str) -> bool:
        """Remove an entry; False if somebody is at work on it. What a machine has of it open stays until that ends."""
        try:
            with self._locked(key, blocking=False):
                shutil.rmtree(self.path / key, ignore_errors=True)
        except Timeout:
            return False
        return True

    def _make_room(self, wanted: Path) -> None:
        """Remove what was not used for longest, of any kind, until all entries are within the limit."""
        most = limit()
        every = [(shelf, entry) for shelf in map(Shelf, KINDS, (0,) * len(KINDS)) for entry in shelf.entries()]
        sizes = {entry: allocated(entry) for _, entry in every}
        total = sum(sizes.values())
        for shelf, entry in sorted(every, key=lambda pair: _used(pair[1])):
            if total <= most:
                return
            if entry != wanted and shelf.remove(entry.name):
                total -= sizes[entry]
                what = f"{entry.parent.name}/{entry.name} ({sizes[entry] // MIB} MB)"
                self._note(
                    f"removed {what}, which was not used for longest: the cache may take {most // MIB} MB "
                    "(CRASHINIT_CACHE_LIMIT)"
                )

    @contextmanager
    def _locked(self, key: str, *, blocking: bool = True) -> Iterator[None]:
        lock = self.path / f"{key}.lock"
        with FileLock(lock, thread_local=False).acquire(blocking=blocking):
            give_back(lock)
            yield

    def _prune(self, wanted: str) -> None:
        """Remove dead builders' leftovers and all but the most recently used entries, none that is locked."""
        rubble = [path for path in self.path.glob("*.tmp") if path.is_dir()]
        for path in rubble + self.entries()[self.keep :]:
            key = path.name.removesuffix(".tmp")
            if key == wanted:
                continue
            try:
                with self._locked(key, blocking=False):
                    shutil.rmtree(path, ignore_errors=True)
            except Timeout:
                continue  # someone is at work on it


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process has just pruned it
        return 0.0
