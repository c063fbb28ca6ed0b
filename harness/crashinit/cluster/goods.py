"""What goes from the owner to a host that lacks it: the image of the machines, and the run's own files.

Both are archives, sent out as pieces that dask keeps on its workers; a host takes them from whichever has them. The
files are the adapter and the guest, if they are no names, and the recorded inits of power cuts.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path

from distributed import get_client

from crashinit import adapters
from crashinit.adapters import inherited
from crashinit.bundle import carried
from crashinit.campaign.planning import Runners
from crashinit.cluster.work import Work
from crashinit.errors import UsageError
from crashinit.files import packed
from crashinit.files.safe import MIB
from crashinit.machine import guests
from crashinit.machine.cache import Shelf, cache_dir, disk_errors
from crashinit.machine.guests import stock
from crashinit.machine.guests.image import cached
from crashinit.machine.seed import apart
from crashinit.model.fault import kind_of
from crashinit.model.trial import Trial
from crashinit.run.kept import RECORDINGS

SHELF, KEEP = "runs", 4
PIECE = 8 * MIB
WAIT = 60.0  # seconds for one piece


class Sender:
    """The owner's end: what there is of a run to be sent."""

    def __init__(self, make: Runners, trials: Sequence[Trial], where: Path) -> None:
        """`where`: a directory for the archives. Raises UsageError for what cannot go to another host."""
        self._where = where
        provider, guest = apart(make.provider)
        adapter, system = adapters.load(make.driver), guests.load(guest)
        self.driver, self.provider, self.guest = make.driver, provider, guest
        files = where / "files"
        files.mkdir()
        if make.driver not in inherited.names():
            self.driver = str(carried.adapter(make.driver, adapter, files).relative_to(files))
        if carried.is_own(system):
            path = carried.guest(system, files)
            self.guest = str(path.relative_to(files))
            if guests.load(str(path)).digest() != system.digest():
                raise UsageError(f"the guest '{system.name}' names files of this host, which do not go to other hosts.")
        if not all(carried.comes_along(trial.setup) for trial in trials):
            raise UsageError("'made-by' names an adapter's file: only an adapter of crashinit goes to other hosts.")
        if any(kind_of(trial.fault).cuts_power for trial in trials):
            shutil.copytree(make.out / RECORDINGS, files / RECORDINGS, dirs_exist_ok=True)
        self.files = ""
        if any(files.iterdir()):
            packed.pack(files, where / "files.tar.gz")
            self.files = hashlib.sha256((where / "files.tar.gz").read_bytes()).hexdigest()[:16]
        self._image = cached(system, adapter.packages) if provider.startswith("qemu") else None
        self.image = self._image.key if self._image else ""

    def work(self, make: Runners, name: str, identity: str) -> Work:
        """The run as its hosts are told of it."""
        said = self.driver, self.provider, self.guest, make.merges, make.accel()
        return Work(name, identity, type(make), *said, self.image, self.files)

    def pieces(self, name: str) -> Iterator[bytes]:
        """An archive in pieces."""
        path = self._where / "files.tar.gz"
        if name != self.files:
            path = self._where / "image.tar.gz"
            if not path.exists():
                [entry] = stock.chosen([self.image])
                stock.export(entry, path)
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


def lacking(work: Work) -> list[str]:
    """What this host has not, of what the owner can send."""
    wanted = [("images", work.image), (SHELF, work.files)]
    return [name for shelf, name in wanted if name and not (cache_dir() / shelf / name).is_dir()]


def called(work: Work, name: str) -> str:
    """What the pieces of goods are called among dask's datasets."""
    return f"{work.id}-{name}"


def fetch(work: Work, name: str) -> bool:
    """Take goods from the workers that hold them; False where they cannot be had there."""
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache_dir()) as temporary:
        archive = Path(temporary, "archive.tar.gz")
        with disk_errors(archive.parent), archive.open("wb") as file:
            try:
                for piece in get_client().get_dataset(called(work, name)):
                    file.write(piece.result(timeout=WAIT))
            except (KeyError, CancelledError, TimeoutError):
                return False  # they were not sent yet, or a holder is lost, and the owner sends them once more
        if name == work.image:
            stock.bring_in(archive)
        else:
            Shelf(SHELF, KEEP).get(name, lambda where: packed.unpack(archive, where))
    return True


def directory(work: Work) -> Path:
    """Where this host has the run's own files."""
    return cache_dir() / SHELF / (work.files or "none")


def places(work: Work) -> tuple[str, str]:
    """The adapter and the guest as this host finds them."""
    here = directory(work)
    driver = work.driver if work.driver in inherited.names() else str(here / work.driver)
    return driver, work.guest if work.guest in guests.names() else str(here / work.guest)
