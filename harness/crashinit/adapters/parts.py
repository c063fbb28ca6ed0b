"""The parts of an adapter file: its tables, each as a value that refuses what it cannot be."""

import importlib.util
import os
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from crashinit.errors import UsageError
from crashinit.machine.guests.packages import Packages

PYTHON = "python:"  # what the name of an importable Python package begins with
PATH_MAX, NAME_MAX = 4096, 255  # bytes, <linux/limits.h>
SOCKET_PATH_MAX = 108  # bytes, sun_path in unix(7)


class Part(BaseModel):
    """A part of an adapter: frozen, and it refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _guest_path(path: str) -> str:
    """An absolute path in the machine, as it is written; ValueError for anything else."""
    parts = path.split("/")
    if not path.startswith("/") or {".", ".."} & set(parts) or not any(parts):
        raise ValueError(f"'{path}' must be an absolute path in the machine, without '.' and '..', and not '/' itself")
    if len(os.fsencode(path)) >= PATH_MAX or any(len(os.fsencode(part)) > NAME_MAX for part in parts):
        raise ValueError(f"a path has less than {PATH_MAX} bytes, and no name in it more than {NAME_MAX}")
    return path


GuestPath = Annotated[str, AfterValidator(_guest_path)]
GuestPathOrNone = Annotated[str, AfterValidator(lambda path: path and _guest_path(path))]


class Source(Part):
    """A file or directory of the host that the machine gets."""

    source: str = Field(min_length=1)  # a path relative to the adapter file, or "python:<an importable package>"
    target: GuestPath
    mode: int | None = Field(default=None, ge=0, le=0o7777)  # of the file; None: as it is on the host

    def path(self, directory: Path) -> Path:
        """Where it lies on the host; raises UsageError when it is not there, or neither file nor directory."""
        path = self._package() if self.source.startswith(PYTHON) else (directory / self.source).resolve()
        if not path.exists():
            raise UsageError(f"the adapter's source '{path}' does not exist.")
        if not (path.is_file() or path.is_dir()):
            raise UsageError(f"the adapter's source '{path}' is neither a regular file nor a directory.")
        return path

    def _package(self) -> Path:
        """The directory of a Python package. To find one inside another, Python imports the outer one."""
        name = self.source.removeprefix(PYTHON)
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, AttributeError, ValueError) as error:
            raise UsageError(f"the adapter's source '{self.source}' cannot be found: {error}.") from error
        if spec is None or not spec.submodule_search_locations:
            raise UsageError(f"the adapter's source '{self.source}' names no installed Python package.")
        return Path(spec.submodule_search_locations[0])


class Archive(Source):
    """A tar archive of the host that is unpacked in the machine."""

    target: Annotated[str, AfterValidator(lambda path: path if path == "/" else _guest_path(path))] = "/"


class Install(Part):
    """What the machine needs before the driver can run."""

    packages: Packages = ()
    modules: tuple[str, ...] = ()  # of the kernel, which are loaded before the driver is there
    files: tuple[Source, ...] = ()
    archives: tuple[Archive, ...] = ()
    debs: tuple[str, ...] = ()  # Debian packages of the host, paths relative to the adapter file


class Ready(Part):
    """When init is over: by default when its process ends; for a daemon, when one of these is met."""

    log: str = ""  # a regular expression that a line of its output matches
    file: GuestPathOrNone = ""  # a path that it makes, or writes anew
    socket: GuestPathOrNone = ""  # the path of a Unix socket at which it listens

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.condition) != 1:
            raise ValueError("give one of 'log', 'file' and 'socket'")
        try:
            re.compile(os.fsencode(self.log))  # of bytes, as the machine takes it
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"'{self.log}' is no regular expression: {error}") from None
        if len(os.fsencode(self.socket)) >= SOCKET_PATH_MAX:
            raise ValueError(f"the path of a Unix socket has less than {SOCKET_PATH_MAX} bytes")
        return self

    @property
    def condition(self) -> dict[str, str]:
        """As the guest's gate takes it."""
        return {kind: what for kind in ("log", "file", "socket") if (what := getattr(self, kind))}

    def __str__(self) -> str:
        if self.log:
            return f"no line of its output matches '{self.log}'"
        return f"it did not make '{self.file}'" if self.file else f"it does not listen at '{self.socket}'"


class Devices(Part):
    """The names of the driver's dm devices, and what is below its pool; by default as dockerd has it in its root."""

    pool: str = ""
    base: str = ""
    data: str = ""  # file or block device with the pool's data
    metadata: str = ""  # file or block device with the pool's metadata
    group: str = ""  # of logical volumes
    system: str = ""  # the directory of LVM's settings (LVM_SYSTEM_DIR)
    prefixes: tuple[str, ...] = ()  # what the names of other dm devices of the driver begin with


class Populate(Part):
    """How user data gets into the pool: commands with {root}, {options} and {id}; `mount` prints the mount point."""

    create: tuple[str, ...]
    mount: tuple[str, ...]
    unmount: tuple[str, ...]
    remove: tuple[str, ...] = ()


class Volume(Part):
    """Where the base is, and how a user's volume is made, mounted and removed: commands with {root} and {id}."""

    device: GuestPathOrNone = ""  # the base is this block device
    mounted: str = ""  # the base is what is mounted at, or below, this directory
    command: tuple[str, ...] = ()  # prints one of the two
    subvolume: bool = False  # the directory is a subvolume of its own
    create: tuple[str, ...] = ()
    mount: tuple[str, ...] = ()  # prints the mount point
    unmount: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if sum(map(bool, (self.device, self.mounted, self.command))) > 1:
            raise ValueError("give one of 'device', 'mounted' and 'command'")
        given = [key for key in ("create", "mount", "unmount") if getattr(self, key)]
        if 0 < len(given) < 3:
            raise ValueError("a user's volume needs 'create', 'mount' and 'unmount'")
        return self


class Records(Part):
    """How the driver's records are had, without a reader of ours: a command that prints one JSON document."""

    command: tuple[str, ...] = Field(min_length=1)
