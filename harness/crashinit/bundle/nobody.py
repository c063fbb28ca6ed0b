"""That a bundle says nothing of who made it, and where: looked for in all that it holds."""

import gzip
import os
import pwd
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crashinit.bundle.about import ADAPTER
from crashinit.errors import UsageError

PEOPLE = 1000  # user numbers from which on Debian counts people; those below are root, daemon and the like
SHORTEST = 3  # characters of a user's or a host's name that is looked for
PIECE = 1 << 20  # bytes that are searched at once
SHARED = ("/usr/local", "/usr/share", "/var/lib", "/var/tmp")  # directories that tell nothing, like all at the top
SAME_EVERYWHERE = ("localhost", "debian", "docker", "linux")


@dataclass(frozen=True)
class Sign:
    """What would tell somebody's name, or where his files are."""

    what: str
    text: str
    pattern: re.Pattern[bytes]
    everywhere: bool  # also in the files that the adapter ships


def signs(places: Iterable[Path]) -> list[Sign]:
    """What tells of this host and its user, and of these places."""
    found = [
        Sign(what, str(path), re.compile(re.escape(os.fsencode(path)) + rb"(?![\w-])"), True)
        for what, path in _places(places)
        if len(path.parts) > 2 and str(path) not in SHARED
    ]
    for what, name in _names():
        if len(name) >= SHORTEST and name not in SAME_EVERYWHERE:
            # Not a part of a path or of a longer word
            word = re.compile(rb"(?<![\w/.-])" + re.escape(name.encode()) + rb"(?![\w-])")
            found.append(Sign(what, name, word, False))
    return found


def _places(places: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    for path in places:
        yield "a directory of this host", path.absolute()
        yield "a directory of this host", path.resolve()
    yield "the working directory", Path.cwd()
    for home in {Path.home(), *_homes()}:
        yield "a user's home directory", home


def _homes() -> Iterator[Path]:
    for user in _users():
        yield Path(user.pw_dir)
        yield Path("/home", user.pw_name)


def _names() -> Iterator[tuple[str, str]]:
    for user in _users():
        if user.pw_uid >= PEOPLE:
            yield "the name of a user", user.pw_name
    host = socket.gethostname()
    yield "the host's name", host
    yield "the host's name", host.partition(".")[0]


def _users() -> Iterator[pwd.struct_passwd]:
    """Who runs this, and who called that one by sudo(8)."""
    for number in {os.getuid(), int(os.environ.get("SUDO_UID", "") or os.getuid())}:
        try:
            yield pwd.getpwuid(number)
        except KeyError:  # a user without a name
            continue


def refuse(directory: Path, places: Iterable[Path]) -> None:
    """Raise UsageError for the first file below the directory that tells of this host, or of these places."""
    known = signs(places)
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = str(path.relative_to(directory))
        ships = path.relative_to(directory).parts[0] == ADAPTER and path.suffix != ".toml"
        for sign in known:
            if (sign.everywhere or not ships) and _holds(path, sign.pattern):
                raise UsageError(
                    f"'{name}' of the bundle holds {sign.what}, '{sign.text}': change what it comes from, or give "
                    "'--anyway' to pack it as it is."
                )


def _holds(path: Path, pattern: re.Pattern[bytes]) -> bool:
    """Whether a file, or what it holds when it is packed with gzip, has such a text."""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        tail = b""
        while piece := file.read(PIECE):
            if pattern.search(tail + piece):
                return True
            tail = piece[-4096:]
    return False
