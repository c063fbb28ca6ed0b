"""A bundle that somebody sent, checked and unpacked into the cache: from then on the directory of a run."""

import hashlib
from pathlib import Path

from crashinit import adapters
from crashinit.adapters import inherited
from crashinit.bundle import about as abouts
from crashinit.bundle import carried
from crashinit.bundle.about import About
from crashinit.bundle.tree import names, only_trial, placed
from crashinit.errors import UsageError
from crashinit.files import packed, textfile, tomlfile
from crashinit.machine import guests
from crashinit.machine.cache import Shelf, digest
from crashinit.machine.guests import Guest
from crashinit.run.kept import read_prepared

KEEP = 20  # bundles in the cache


def opened(archive: Path) -> Path:
    """The directory of a bundle's run.

    Raises UsageError for what is no bundle, or one that reaches for anything outside of it; HostError.
    """
    try:
        if not archive.is_file():
            raise UsageError(f"'{archive}' is no file: name a bundle, as 'crashinit bundle' writes it.")
        with archive.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"'{archive}' cannot be read: {error.strerror}.") from error
    shelf = Shelf("bundles", KEEP)
    key = digest(content, str(archive))
    return shelf.get(key, lambda where: _open(archive, where, shelf.path / key))


def _open(archive: Path, where: Path, later: Path) -> None:
    """Unpack and check it; `later`: where the directory will be."""
    packed.unpack(archive, where)
    about = abouts.read(where, archive)
    trial = only_trial(where, archive)
    if trial.id != about.trial:
        raise UsageError(f"'{archive}' is no bundle: it tells of one trial, and its plan has another.")
    for own, run in names(trial, _adapter(archive, where / about.adapter, about)):
        if not (where / own).is_file():
            raise UsageError(f"'{archive}' is no bundle: it lacks '{own}'.")
        (where / own).replace(where / run)
    if not carried.comes_along(trial.setup):
        raise UsageError(f"'{archive}' is not taken: its root is made by an adapter that is not in it.")
    read_prepared(where)  # what cannot be read is told now
    guest = str(later / about.guest_file) if about.guest.own else about.guest.name
    _guest(archive, where, about)
    placed(where, archive, str(later / about.adapter), guest)
    about.model_copy(update={"name": str(archive)}).write(where)


def _adapter(archive: Path, file: Path, about: About) -> adapters.Adapter:
    if inherited.EXTENDS in _said(file, "the adapter file"):
        raise UsageError(f"'{archive}' is not taken: its adapter extends another one, which is not in it.")
    adapter = adapters.load(str(file))
    carried.refuse_reaching_out(adapter, file, archive)
    if adapter.name != about.driver:
        raise UsageError(f"'{archive}' is no bundle: it tells of the driver '{about.driver}', and has another.")
    return adapter


def _said(file: Path, what: str) -> dict[str, object]:
    try:
        return tomlfile.read(textfile.read(file, what))
    except ValueError as error:
        raise UsageError(f"'{file}': not valid TOML: {error}.") from error


def _guest(archive: Path, where: Path, about: About) -> Guest:
    """The guest that the machines are to have. Raises UsageError for one that there is not here."""
    name = about.guest.name
    if not about.guest.own and name not in guests.names():
        raise UsageError(f"'{archive}': this version has no guest '{name}': install a newer one.")
    found = guests.load(str(where / about.guest_file) if about.guest.own else name)
    if found.name != name:
        raise UsageError(f"'{archive}' is no bundle: it tells of the guest '{name}', and has another.")
    return found


def refuse_foreign_guest(archive: Path, directory: Path, about: About) -> None:
    """Raise UsageError for a guest that brings more here than Debian's packages."""
    if about.guest.own:
        carried.refuse_foreign(_guest(archive, directory, about), archive)
