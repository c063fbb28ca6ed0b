"""The adapter: all that the harness knows of one driver, read from a TOML file."""

import importlib.util
import io
import tarfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crashinit.errors import UsageError
from crashinit.machine.protocol import Machine

HERE = Path(__file__).parent


class Part(BaseModel):
    """A part of an adapter: frozen, and it refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Part):
    """A file or directory of the host that the machine gets."""

    source: str  # a path relative to the adapter file, or "python:<package>" for an importable package
    target: str

    def path(self, base: Path) -> Path:
        """Where it lies on the host; raises UsageError when it is not there."""
        if self.source.startswith("python:"):
            package = self.source.removeprefix("python:")
            spec = importlib.util.find_spec(package)
            if spec is None or not spec.submodule_search_locations:
                raise UsageError(f"the adapter's source '{self.source}' names no installed Python package.")
            return Path(spec.submodule_search_locations[0])
        path = base / self.source
        if not path.exists():
            raise UsageError(f"the adapter's source '{path}' does not exist.")
        return path


class Install(Part):
    """What the machine needs before the driver can run."""

    packages: tuple[str, ...] = ()
    files: tuple[Source, ...] = ()


class Populate(Part):
    """How user data gets into the pool: commands with {root}, {options} and {id}; `mount` prints the mount point."""

    create: tuple[str, ...]
    mount: tuple[str, ...]
    unmount: tuple[str, ...]


class Adapter(Part):
    """One driver. Commands may hold {root}, and {options} as an argument of its own."""

    name: str
    title: str
    root: str
    init: tuple[str, ...]
    shutdown: tuple[str, ...]
    option_flag: str = "--storage-opt"
    options: tuple[str, ...] = ()
    metadata: Literal["docker", "containers-storage", "containerd", "none"] = "none"
    expect: dict[str, str | int] = Field(default_factory=dict)  # fields of contract.expectation.Expectation
    not_applicable: dict[str, str] = Field(default_factory=dict)  # clause -> why it cannot apply
    install: Install = Install()
    populate: Populate | None = None
    base: Path = HERE  # the directory that relative sources are meant from

    def command(self, words: Sequence[str], options: Sequence[str] = (), **names: str) -> list[str]:
        """The argument vector of one of the driver's commands, with further storage options."""
        argv: list[str] = []
        for word in words:
            if word == "{options}":
                for option in (*self.options, *options):
                    argv += [self.option_flag, option]
            else:
                argv.append(word.format(root=self.root, **names))
        return argv

    def installed(self, machine: Machine) -> None:
        """Put the driver into a machine that has the adapter's packages."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for file in self.install.files:
                tar.add(file.path(self.base), arcname=file.target.lstrip("/"), filter=_as_root)
        machine.put(archive.getvalue(), "/run/crashinit-install.tar")
        machine.run("tar", "-C", "/", "-xf", "/run/crashinit-install.tar").check()
        machine.run("rm", "/run/crashinit-install.tar").check()
        for file in self.install.files:
            machine.run("python3", "-m", "compileall", "-q", file.target)  # a failure costs time, nothing else


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return None if "__pycache__" in entry.name else entry


def names() -> list[str]:
    """The adapters that come with the harness."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def load(name: str) -> Adapter:
    """The adapter of that name, or in that file; raises UsageError that says what is wrong and where."""
    path = Path(name) if name.endswith(".toml") or "/" in name else HERE / f"{name}.toml"
    if not path.is_file():
        raise UsageError(f"there is no driver adapter '{name}': known are {', '.join(names())}, or give a .toml file.")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}.") from error
    try:
        return Adapter(**data, base=path.resolve().parent)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path}: '{where}': {first['msg'].lower()}.") from error
    except TypeError as error:
        raise UsageError(f"{path}: 'base' is not a key of an adapter file.") from error
