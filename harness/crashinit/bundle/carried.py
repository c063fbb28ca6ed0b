"""The adapter and the guest of a trial, as files that need nothing of the host that they come from."""

import shutil
from pathlib import Path
from typing import Any

from crashinit.adapters import inherited
from crashinit.adapters.adapter import Adapter
from crashinit.adapters.parts import PYTHON, Source
from crashinit.bundle.about import ADAPTER, GUEST
from crashinit.errors import UsageError
from crashinit.files import textfile, tomlfile
from crashinit.files.safe import write_text
from crashinit.machine.guests import guest as guests
from crashinit.machine.guests.guest import Guest
from crashinit.model.trial import Setup
from crashinit.trial.made_by import made_by

FILES = "files"  # beside the adapter: what it ships
USUAL = (0o644, 0o755)  # modes that an archive keeps by itself


def adapter(driver: str, loaded: Adapter, into: Path) -> Path:
    """The adapter of that name or file with all that it ships, in one directory; its file. Raises UsageError."""
    path = inherited.found(driver)
    said = inherited.placed(inherited.said(path)[1], path.resolve().parent)
    where = into / ADAPTER
    install = dict(said.get("install", {}))
    for key in inherited.GOT:
        if key in install:
            install[key] = [_brought(entry, where) for entry in install[key]]
    if inherited.PACKAGES in install:
        install[inherited.PACKAGES] = [_copied(Path(deb), where) for deb in install[inherited.PACKAGES]]
    if install:
        said["install"] = install
    target = where / f"{loaded.name}.toml"
    write_text(
        target, f"# {loaded.title}: the adapter of the driver, with all that it ships.\n{inherited.written(said)}"
    )
    return target


def _brought(entry: dict[str, Any], where: Path) -> dict[str, Any]:
    """An entry of [install] with what it names beside the adapter."""
    source = Source(source=entry["source"], target="/x").path(where)
    mode = source.stat().st_mode & 0o7777
    kept = {"mode": mode} if source.is_file() and mode not in USUAL and "mode" not in entry else {}
    return {**entry, **kept, "source": _copied(source, where)}


def _copied(source: Path, where: Path) -> str:
    """Copy a file or directory to a name of its own; the path from the adapter's directory."""
    target, number = where / FILES / source.name, 2
    while target.exists():
        target, number = where / FILES / f"{number}-{source.name}", number + 1
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        _refuse_links(source)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)
    return str(target.relative_to(where))


def _refuse_links(source: Path) -> None:
    """Raise UsageError for a link that leads out of the directory; one inside becomes a copy of what it leads to."""
    for path in source.rglob("*"):
        if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(source.resolve())):
            raise UsageError(f"'{path}' is a symbolic link to a directory, or out of '{source}': a bundle holds none.")


def guest(found: Guest, into: Path) -> Path:
    """The guest's file; of a kernel of one's own and of keys it names the files without their directories."""
    path = guests.file(found.source)
    target = into / GUEST / f"{found.name}.toml"
    if not is_own(found):
        write_text(target, textfile.read(path, "the guest file"))
        return target
    data = tomlfile.read(textfile.read(path, "the guest file"))
    for table, keys in ((data, ("key",)), (data.get("kernel", {}), ("image", "modules")), *_sources(data)):
        for key in keys:
            if key in table:
                table[key] = Path(table[key]).name
    write_text(target, inherited.written(data))
    return target


def _sources(data: dict[str, Any]) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    return [(source, ("key",)) for source in data.get("sources", [])]


def is_own(found: Guest) -> bool:
    """Whether its file is none of those that come along."""
    return guests.file(found.source).parent.resolve() != guests.HERE.resolve()


def refuse_foreign(found: Guest, archive: Path) -> None:
    """Raise UsageError for a guest of somebody else's with which more than Debian's packages would get here."""
    trusted = {guests.MIRROR, guests.SECURITY}
    places = sorted({each.uri for each in found.archives()} - trusted)
    keys = any(each.key for each in found.archives())
    if places or keys or found.kernel.image or found.box:
        what = f"takes packages from '{places[0]}'" if places else "has a kernel, a key or a box of its own"
        raise UsageError(
            f"'{archive}': its guest '{found.name}' {what}, which this host would trust: unpack the bundle, read "
            f"'{GUEST}/{found.name}.toml', and give it as '--guest FILE' if you do."
        )


def refuse_reaching_out(found: Adapter, file: Path, archive: Path) -> None:
    """Raise UsageError for an adapter of somebody else's that names a file of this host."""
    inside = file.parent.resolve()
    install = found.install
    for source in (*(one.source for one in (*install.files, *install.archives)), *install.debs):
        if source.startswith(PYTHON) or not (file.parent / source).resolve().is_relative_to(inside):
            raise UsageError(f"'{archive}' is not taken: its adapter names '{source}', which is not in it.")


def comes_along(setup: Setup) -> bool:
    """Whether the driver that made the root, if another one did, and its guest are of those that come along."""
    if not setup.made_elsewhere:
        return True
    name, system = made_by(setup.given)
    return name in inherited.names() and (not system or system in guests.names())
