"""The adapter: all that the harness knows of one driver, read from a TOML file."""

import difflib
import importlib.util
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from crashinit.contract.clauses import CLAUSES
from crashinit.contract.expectation import Expectation
from crashinit.errors import UsageError
from crashinit.families.thinpool.steps import STEPS
from crashinit.files import refused, textfile, tomlfile
from crashinit.machine.guests.packages import wrong
from crashinit.machine.protocol import Machine
from crashinit.machine.upload import Upload, listed, upload

HERE = Path(__file__).parent
# An adapter's name becomes a directory's name.
NAME_LIMIT = 64  # characters
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._+-]{{,{NAME_LIMIT - 1}}}", re.ASCII)
NAME_IS = f"letters, digits and '._+-', at most {NAME_LIMIT} of them, a letter or digit first"
# What [expect] may say: the rest of an Expectation comes from the adapter's other keys, or is no string and no number.
EXPECTED = [
    key for key in Expectation.model_fields if key not in ("metadata_format", "deadline", "features", "not_applicable")
]
PYTHON = "python:"  # what the name of an importable Python package begins with
PATH_MAX, NAME_MAX = 4096, 255  # bytes, <linux/limits.h>
SOCKET_PATH_MAX = 108  # bytes, sun_path in unix(7)
PLACE = re.compile(r"\{(\w+)\}")  # a word of a command in whose place something is put
PLACES = ("root", "options", "id")


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


class Install(Part):
    """What the machine needs before the driver can run."""

    packages: tuple[str, ...] = ()
    files: tuple[Source, ...] = ()

    @field_validator("packages")
    @classmethod
    def _are_packages(cls, named: tuple[str, ...]) -> tuple[str, ...]:
        if said := wrong(named):
            raise ValueError(said)
        return named


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


class Populate(Part):
    """How user data gets into the pool: commands with {root}, {options} and {id}; `mount` prints the mount point."""

    create: tuple[str, ...]
    mount: tuple[str, ...]
    unmount: tuple[str, ...]


class Adapter(Part):
    """One driver. Commands may hold {root}, and {options} as an argument of its own."""

    name: str
    title: str = Field(min_length=1, max_length=200)
    root: GuestPath
    # the directory above the root that holds all that belongs to the driver; "": the root
    data_root: GuestPathOrNone = ""
    init: tuple[str, ...] = Field(min_length=1)
    ready: Ready | None = None  # of a daemon, whose init does not end its process
    before: tuple[tuple[str, ...], ...] = ()  # run ahead of each init, outside the gate: what a driver finds there
    shutdown: tuple[str, ...] = ()  # a daemon is ended by SIGTERM, and then by this if it is given
    option_flag: str = "--storage-opt"
    options: tuple[str, ...] = ()
    metadata: Literal["docker", "containers-storage", "containerd", "none"] = "none"
    expect: dict[str, str | int] = Field(default_factory=dict)  # of contract.expectation.Expectation
    not_applicable: dict[str, str] = Field(default_factory=dict)  # clause -> why it cannot apply
    absent: dict[str, str] = Field(default_factory=dict)  # step -> why this driver's init does not have it
    devices: Devices = Devices()
    install: Install = Install()
    populate: Populate | None = None
    directory: Path = HERE  # the directory that relative sources are meant from

    @model_validator(mode="before")
    @classmethod
    def _without_nul(cls, data: Any) -> Any:
        for key, value in data.items():
            if "\0" in _strings(value):
                raise ValueError(f"'{key}' holds a NUL, which no command, path or name may hold")
        return data

    @field_validator("name")
    @classmethod
    def _is_a_file_name(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(f"'{name}' is no name for a driver, which has {NAME_IS}")
        return name

    @field_validator("title")
    @classmethod
    def _is_a_line(cls, title: str) -> str:
        if not title.isprintable():
            raise ValueError("a title is one line of printable characters")
        return title

    @field_validator("expect", mode="before")
    @classmethod
    def _can_be_expected(cls, given: Any) -> Any:
        for key, value in given.items() if isinstance(given, dict) else ():
            if key not in EXPECTED:
                close = difflib.get_close_matches(key, EXPECTED, n=1) or EXPECTED
                raise ValueError(f"'{key}' is nothing that can be expected: what can be is {', '.join(close)}")
            try:
                kind: Any = Expectation.model_fields[key].annotation
                TypeAdapter(kind).validate_python(value, strict=True)
            except ValidationError as error:
                raise ValueError(
                    f"'{key}' is {refused.shown(value)}, but {refused.must(refused.first(error))}"
                ) from None
            if isinstance(value, int) and value < 0:
                raise ValueError(f"'{key}' is {value}, and cannot be negative")
        return given

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        for name, words in self._commands():
            for word in words:
                if (found := PLACE.fullmatch(word)) and found[1] not in PLACES:
                    raise ValueError(f"'{name}' holds '{word}': what is filled in is {', '.join(map(repr, PLACES))}")
        if unknown := set(self.not_applicable) - set(CLAUSES):
            raise ValueError(
                f"'not_applicable' names '{sorted(unknown)[0]}', which is no clause: they are {', '.join(CLAUSES)}"
            )
        if unknown := set(self.absent) - set(STEPS):
            raise ValueError(f"'absent' names '{sorted(unknown)[0]}', which is no step: they are {', '.join(STEPS)}")
        return self

    def _commands(self) -> list[tuple[str, tuple[str, ...]]]:
        populate = self.populate
        inside = [(f"populate.{key}", getattr(populate, key)) for key in Populate.model_fields] if populate else []
        return [
            ("init", self.init),
            ("shutdown", self.shutdown),
            *(("before", words) for words in self.before),
            *inside,
        ]

    @model_validator(mode="after")
    def _can_be_ended(self) -> Self:
        if self.ready is None and not self.shutdown:
            raise ValueError("a driver needs a 'shutdown' command, unless it is a daemon with a 'ready' condition")
        return self

    _places: dict[str, str] = PrivateAttr(default_factory=dict)  # source -> where the file names it; "": the file

    @property
    def volume(self) -> str:
        """The directory that lies on a disk of its own when the power is cut."""
        return self.data_root or self.root

    def command(self, words: Sequence[str], options: Sequence[str] = (), **names: str) -> list[str]:
        """The argument vector of one of the driver's commands, with further storage options."""
        argv: list[str] = []
        for word in words:
            if word == "{options}":
                for option in (*self.options, *options):
                    argv += [self.option_flag, option]
            else:
                for name, value in {"root": self.root, **names}.items():
                    word = word.replace(f"{{{name}}}", value)
                argv.append(word)
        return argv

    def probed(self) -> dict[str, str]:
        """What the guest's probe is to look at."""
        spec = {
            "root": self.root,
            "format": self.metadata,
            "pool_name": self.devices.pool,
            "base_name": self.devices.base,
            "data": self.devices.data,
            "metadata": self.devices.metadata,
        }
        return {key: value for key, value in spec.items() if value}

    def check_files(self) -> None:
        """Raise UsageError, with file and key, when what the machine is to get is not there, or is too large."""
        uploads = self._uploads()
        with self._naming(""):
            listed(uploads)

    def _uploads(self) -> list[Upload]:
        found: list[Upload] = []
        for file in self.install.files:
            with self._naming(file.source):
                found.append((file.path(self.directory), file.target))
        return found

    @contextmanager
    def _naming(self, source: str) -> Iterator[None]:
        """Have an error about a source say where the adapter file names it."""
        try:
            yield
        except UsageError as error:
            raise UsageError(f"{self._places.get(source, '')}'install.files.source': {error}") from error

    def installed(self, machine: Machine) -> None:
        """Put the driver into a machine that has the adapter's packages. Raises UsageError, GuestError."""
        upload(machine, self._uploads())
        for file in self.install.files:
            machine.run("python3", "-m", "compileall", "-q", file.target)  # a failure costs time, nothing else
        # Under emulation, reading a program from the disk costs more than running it: have it in the page cache.
        machine.run("sh", "-c", 'cat "$(command -v "$0")" > /dev/null', self.init[0])


def _strings(value: Any) -> str:
    """All strings in a value of TOML, keys included, joined."""
    if isinstance(value, dict):
        return "".join(key + _strings(part) for key, part in value.items())
    return "".join(map(_strings, value)) if isinstance(value, list | tuple) else value if isinstance(value, str) else ""


def names() -> list[str]:
    """The adapters that come with the harness."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def load(name: str) -> Adapter:
    """The adapter of that name, or in that file; raises UsageError that says what is wrong and where."""
    path = Path(name) if name.endswith(".toml") or "/" in name else HERE / f"{name}.toml"
    if path.parent == HERE and path.stem not in names():
        raise UsageError(f"there is no driver adapter '{name}': known are {', '.join(names())}, or give a .toml file.")
    if path.is_dir():
        raise UsageError(f"the adapter file '{path}' is a directory.")
    if not path.exists():
        meant = "" if path.is_absolute() else f": from this directory it leads to '{path.absolute()}'"
        raise UsageError(f"the adapter file '{path}' does not exist{meant}.")
    text = textfile.read(path, "the adapter file")
    try:
        data = tomlfile.read(text)
    except ValueError as error:
        raise UsageError(f"'{path}': not valid TOML: {error}.") from error
    if "directory" in data:
        raise UsageError(f"'{path}': 'directory' is not a key of an adapter file.")
    try:
        adapter = Adapter(**data, directory=path.resolve().parent)
    except ValidationError as error:
        fault = refused.first(error)
        keys = [part for part in fault["loc"] if isinstance(part, str)]
        line = _line(text, keys[-1]) if keys else ""
        raise UsageError(f"'{path}'{line}: {refused.sentence(fault, Adapter)}") from error
    adapter._places = {"": f"'{path}': "} | {
        file.source: f"'{path}'{_line_with(text, file.source)}: " for file in adapter.install.files
    }
    return adapter


def _line(text: str, key: str) -> str:
    """Where a key, or the table of that name, stands in a file: ', line 3'; nothing if that cannot be told."""
    found = re.search(rf"(?m)^\s*(?:{re.escape(key)}\s*=|\[{re.escape(key)}\])", text)
    return f", line {text[: found.start()].count(chr(10)) + 1 + found[0].count(chr(10))}" if found else ""


def _line_with(text: str, value: str) -> str:
    """The same for a value in quotes; nothing if it is spelt with escapes."""
    spelt = re.search(rf"""source\s*=\s*(["']){re.escape(value)}\1""", text)
    return f", line {text[: spelt.start()].count(chr(10)) + 1}" if spelt else ""
