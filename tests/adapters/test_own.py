"""Builds of one's own in a machine: files with modes, archives, Debian packages, and libraries that are too old."""

import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from crashinit.adapters import Adapter
from crashinit.errors import UsageError
from crashinit.machine.protocol import Machine, Provider


@pytest.fixture(scope="module")
def machine(provider: Provider) -> Iterator[Machine]:
    with provider.template() as template, template.clone() as clone:
        yield clone


def adapter(directory: Path, **install: object) -> Adapter:
    said = {"name": "own", "title": "own", "root": "/var/lib/own", "init": ("sh",), "shutdown": ("true",)}
    return Adapter.model_validate({**said, "install": install, "directory": directory})


Packing = Literal["w:gz", "w:bz2", "w:xz"]
PACKINGS: dict[str, Packing] = {"gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}


def archive(path: Path, packing: Packing, content: dict[str, str]) -> str:
    """A packed archive with these files."""
    with tarfile.open(path, packing) as tar:
        for name, text in content.items():
            (path.parent / "member").write_text(text)
            tar.add(path.parent / "member", name)
    return path.name


def package(directory: Path, name: str, depends: str = "") -> str:
    """A Debian package with one file, made by dpkg-deb."""
    tree = directory / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "srv").mkdir()
    (tree / "srv" / name).write_text(f"of {name}")
    needs = f"Depends: {depends}\n" if depends else ""
    control = (
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: none <n@example.org>\n{needs}Description: x\n"
    )
    (tree / "DEBIAN" / "control").write_text(control)
    subprocess.run(["dpkg-deb", "--build", str(tree), str(directory / f"{name}.deb")], check=True, capture_output=True)
    return f"{name}.deb"


def newer(program: Path) -> Path:
    """A program that needs a glibc that there is not: the version's name and its hash, in the program itself."""
    data = Path("/bin/true").read_bytes()
    version = max(re.findall(rb"GLIBC_2\.\d\d\b", data))
    wanted = version[:-2] + b"99"
    data = data.replace(version, wanted).replace(_hash(version), _hash(wanted))
    program.write_bytes(data)
    program.chmod(0o755)
    return program


def _hash(name: bytes) -> bytes:
    """As the System V ABI has it for the names of symbols and versions."""
    total = 0
    for byte in name:
        total = (total << 4) + byte
        total = (total ^ ((total & 0xF0000000) >> 24)) & 0x0FFFFFFF
    return total.to_bytes(4, "little")


def test_all_that_an_adapter_can_bring(tmp_path: Path, machine: Machine) -> None:
    """A file with its mode, a whole directory, archives packed or not, and Debian packages."""
    (tmp_path / "tree" / "in").mkdir(parents=True)
    (tmp_path / "tree" / "in" / "run").write_text("#!/bin/sh\necho in a tree\n")
    (tmp_path / "tree" / "in" / "run").chmod(0o755)
    (tmp_path / "secret").write_text("s")
    packed = [archive(tmp_path / f"a.{kind}", mode, {f"opt/{kind}": kind}) for kind, mode in PACKINGS.items()]
    plain = tmp_path / "a.tar"
    with tarfile.open(plain, "w") as tar:
        tar.add(tmp_path / "secret", "opt/tar")
    own = adapter(
        tmp_path,
        files=({"source": "secret", "target": "/etc/secret", "mode": 0o600}, {"source": "tree", "target": "/opt/tree"}),
        archives=({"source": plain.name, "target": "/srv"}, *({"source": name} for name in packed)),
        debs=(package(tmp_path, "one"), package(tmp_path, "two", "one")),
    )
    own.check_files()
    own.installed(machine)

    assert machine.run("stat", "-c", "%a %U", "/etc/secret").stdout == "600 root\n"
    assert machine.run("/opt/tree/in/run").stdout == "in a tree\n"
    assert [machine.get(f"/opt/{kind}").decode() for kind in PACKINGS] == list(PACKINGS)
    assert machine.get("/srv/opt/tar") == b"s"
    assert machine.get("/srv/two") == b"of two"
    assert machine.run("ls", "/var/tmp").stdout == ""


def test_a_program_that_needs_a_newer_glibc(tmp_path: Path, machine: Machine) -> None:
    """It is named with what it needs and what the machine has, also inside a directory: no trial is run with it."""
    (tmp_path / "bin").mkdir()
    newer(tmp_path / "bin" / "ctd")
    has = machine.run("getconf", "GNU_LIBC_VERSION").stdout.split()[1]
    for source, target in (("bin", "/opt/bin"), ("bin/ctd", "/usr/bin/ctd")):
        with pytest.raises(
            UsageError, match=rf"/bin/ctd' needs glibc 2\.99, and the machine has {re.escape(has)}: build"
        ):
            adapter(tmp_path, files=({"source": source, "target": target},)).installed(machine)


def test_what_cannot_be_installed(tmp_path: Path, machine: Machine) -> None:
    """A package without what it needs, a damaged archive, a file that is not there: one sentence each."""
    (tmp_path / "damaged.tgz").write_bytes(b"\x1f\x8b no archive")
    (tmp_path / "text.tar").write_text("no archive")
    cases = [
        (adapter(tmp_path, debs=(package(tmp_path, "three", "four"),)), "three depends on four"),
        (adapter(tmp_path, archives=({"source": "damaged.tgz"},)), "damaged.tgz' is damaged"),
        (adapter(tmp_path, archives=({"source": "text.tar"},)), "text.tar' cannot be unpacked in '/'"),
    ]
    for own, said in cases:
        with pytest.raises(UsageError) as error:
            own.installed(machine)
        assert said in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("install", "key"),
    [({"debs": ("none",)}, "install.debs"), ({"archives": ({"source": "none"},)}, "install.archives.source")],
)
def test_what_is_not_there(tmp_path: Path, install: dict[str, object], key: str) -> None:
    """It is missed before a machine is started, under the key that names it and no other."""
    with pytest.raises(UsageError) as error:
        adapter(tmp_path, **install).check_files()

    assert str(error.value) == f"'{key}': there is no file '{tmp_path}/none'."
