"""Builds of one's own in a machine: archives, Debian packages, and whether the machine's libraries are new enough."""

import bz2
import gzip
import lzma
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from crashinit.errors import UsageError
from crashinit.machine.cache import cache_dir, disk_errors
from crashinit.machine.protocol import Machine

PIECE = 1 << 20  # bytes
ELF = b"\x7fELF"
LANDING = "/var/tmp/crashinit-landing"  # the directory where archives and packages lie until they are unpacked
TIMEOUT = 600.0  # seconds; a gigabyte takes a minute
NEWER = re.compile(r"version `(?P<library>[A-Z]+)_(?P<version>[0-9.]+)' not found")
LACKED = re.compile(r"(?m)^\s*(?P<library>\S+) => not found")
NAMES = {"GLIBC": "glibc", "GLIBCXX": "libstdc++", "CXXABI": "libstdc++"}
# How a packed archive begins, and how it is read; an emulated machine would unpack it many times slower.
OPENERS: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
ZSTD = b"\x28\xb5\x2f\xfd"


def unpack(machine: Machine, archive: Path, target: str) -> None:
    """Unpack a tar archive, packed or not, below a directory of the machine. Raises UsageError."""
    file = f"{LANDING}/archive.tar"
    with disk_errors(cache_dir()), tempfile.NamedTemporaryFile(dir=cache_dir()) as plain:
        _unpacked(archive, plain)
        machine.put(Path(plain.name), file)
    done = machine.run("mkdir", "-p", target)
    if not done.exit:
        done = machine.run("tar", "-C", target, "--no-same-owner", "-xf", file, timeout=TIMEOUT)
    if done.exit:
        raise UsageError(f"the archive '{archive}' cannot be unpacked in '{target}': {_first(done.stderr)}.")
    machine.run("rm", "-r", LANDING).check()


def _unpacked(archive: Path, plain: IO[bytes]) -> None:
    with archive.open("rb") as file:
        head = file.read(8)
    try:
        if head.startswith(ZSTD):
            subprocess.run(["zstd", "-dc", str(archive)], stdout=plain, stderr=subprocess.PIPE, check=True)
        else:
            opener = next((opener for magic, opener in OPENERS.items() if head.startswith(magic)), None)
            with opener(archive) if opener else archive.open("rb") as packed:
                shutil.copyfileobj(packed, plain, PIECE)
    except FileNotFoundError:
        raise UsageError(f"'{archive}' is packed with zstd: run 'apt-get install zstd'.") from None
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, subprocess.CalledProcessError) as error:
        raise UsageError(f"the archive '{archive}' is damaged: {error}.") from error
    plain.flush()


def install(machine: Machine, packages: Sequence[Path]) -> None:
    """Install Debian packages of the host. Raises UsageError when they need what the machine does not have."""
    if not packages:
        return
    for package in packages:
        machine.put(package, f"{LANDING}/{package.name}")
    debs = [f"{LANDING}/{package.name}" for package in packages]
    options = ["--force-confold", "--force-confdef", "--install"]
    done = machine.run("dpkg", *options, *debs, timeout=TIMEOUT, env={"DEBIAN_FRONTEND": "noninteractive"})
    if done.exit:
        named = ", ".join(f"'{package}'" for package in packages)
        raise UsageError(
            f"{named} cannot be installed: {_first(done.stderr)}; what they need belongs into 'install.packages'."
        )
    machine.run("rm", "-r", LANDING).check()


def programs(source: Path, target: str) -> list[tuple[str, str]]:
    """Of a file or directory of the host the programs and libraries, each with its path in the machine."""
    if source.is_dir():
        inside = [Path(where, name) for where, _, names in os.walk(source) for name in names]
        return [(str(path), f"{target.rstrip('/')}/{path.relative_to(source)}") for path in inside if _is_program(path)]
    return [(str(source), target)] if _is_program(source) else []


def _is_program(path: Path) -> bool:
    if not path.is_file() or path.is_symlink():
        return False
    with path.open("rb") as file:
        return file.read(4) == ELF


def check_libraries(machine: Machine, built: Sequence[tuple[str, str]]) -> None:
    """Raise UsageError when a program (by which name people know it, where it is) cannot run for want of a library."""
    for name, file in built:
        done = machine.run("ldd", file)
        said = done.stdout + done.stderr
        if newer := NEWER.findall(said):
            library, version = max(newer, key=lambda found: [int(part) for part in found[1].split(".")])
            has = machine.run("getconf", "GNU_LIBC_VERSION").stdout.strip().replace("glibc ", "")
            owns = f", and the machine has {has}" if library == "GLIBC" and has else ", which the machine does not have"
            raise UsageError(
                f"'{name}' needs {NAMES.get(library, library)} {version}{owns}: build it on an older release, "
                "or give a newer '--guest'."
            )
        if lacked := LACKED.search(said):
            raise UsageError(
                f"'{name}' needs the library '{lacked['library']}', which the machine does not have: "
                "name its package in 'install.packages'."
            )


def _first(said: str) -> str:
    """What a tool complained of first, on one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in lines if "depends on" in line or "rror" in line), lines[0] if lines else "no reason")
