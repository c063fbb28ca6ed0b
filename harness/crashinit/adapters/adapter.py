"""The adapter: all that the harness knows of one driver, read from a TOML file."""

import difflib
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from crashinit import families
from crashinit.contract import formats
from crashinit.contract.expectation import Asked, Expectation
from crashinit.contract.family import Family, by_patterns
from crashinit.errors import UsageError
from crashinit.files import refused, textfile, tomlfile
from crashinit.machine.guests.packages import wrong
from crashinit.machine.protocol import Machine
from crashinit.machine.upload import Upload, listed, upload

HERE = Path(__file__).parent
# An adapter's name becomes a directory's name.
NAME_LIMIT = 64  # characters
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._+-]{{,{NAME_LIMIT - 1}}}", re.ASCII)
NAME_IS = f"letters, digits and '._+-', at most {NAME_LIMIT} of them, a letter or digit first"
PARTS = "/opt/crashinit"  # of the machine: the agent imports from here
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
    modules: tuple[str, ...] = ()  # of the kernel, which are loaded before the driver is there
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


class Adapter(Part):
    """One driver. Commands may hold {root}, and {options} as an argument of its own."""

    name: str
    title: str = Field(min_length=1, max_length=200)
    family: str = families.DEFAULT
    root: GuestPath
    # the directory above the root that holds all that belongs to the driver; "": the root
    data_root: GuestPathOrNone = ""
    init: tuple[str, ...] = Field(min_length=1)
    ready: Ready | None = None  # of a daemon, whose init does not end its process
    before: tuple[tuple[str, ...], ...] = ()  # run ahead of each init, outside the gate: what a driver finds there
    shutdown: tuple[str, ...] = ()  # a daemon is ended by SIGTERM, and then by this if it is given
    option_flag: str = "--storage-opt"
    options: tuple[str, ...] = ()
    metadata: str = "none"  # the format of its records
    records: Records | None = None
    expect: dict[str, str | int] = Field(default_factory=dict)  # of its family's Expectation
    differs: dict[str, str] = Field(default_factory=dict)  # facts of a state that each init makes anew -> why
    not_applicable: dict[str, str] = Field(default_factory=dict)  # clause -> why it cannot apply
    absent: dict[str, str] = Field(default_factory=dict)  # step -> why this driver's init does not have it
    steps: dict[str, tuple[str, ...]] = Field(
        default_factory=dict
    )  # step -> what begins it, where the family's is wrong
    devices: Devices = Devices()
    install: Install = Install()
    populate: Populate | None = None
    volume: Volume = Volume()
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

    @field_validator("family")
    @classmethod
    def _is_a_family(cls, name: str) -> str:
        try:
            families.load(name)
        except UsageError as error:
            raise ValueError(str(error).rstrip(".")) from None
        return name

    @field_validator("metadata")
    @classmethod
    def _is_a_format(cls, name: str) -> str:
        known = [form for form in formats.formats() if form != formats.COMMAND]
        if name not in known:
            raise ValueError(f"'metadata' is '{name}', but may only be {', '.join(map(repr, known))}")
        return name

    @field_validator("expect", mode="before")
    @classmethod
    def _can_be_expected(cls, given: Any, info: ValidationInfo) -> Any:
        if not isinstance(given, dict) or "family" not in info.data:
            return given
        kind: type[Expectation] = families.load(info.data["family"]).expectation
        known = kind.fields_to_state()
        for key, value in given.items():
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1) or known
                raise ValueError(f"'{key}' is nothing that can be expected: what can be is {', '.join(close)}")
            try:
                form: Any = kind.model_fields[key].annotation
                TypeAdapter(form).validate_python(value, strict=True)
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
        self._names("not_applicable", "clause", self.not_applicable, self.kind.clauses)
        self._names("absent", "step", self.absent, self.kind.steps)
        self._names("steps", "step", self.steps, self.kind.steps)
        return self

    def _names(self, key: str, what: str, named: Iterable[str], known: Iterable[str]) -> None:
        """Raise ValueError for a key of a table that names no clause or step."""
        if unknown := sorted({*named} - {*known}):
            raise ValueError(f"'{key}' names '{unknown[0]}', which is no {what}: they are {', '.join(known)}")

    def _commands(self) -> list[tuple[str, tuple[str, ...]]]:
        parts = {"populate": self.populate, "volume": self.volume, "records": self.records}
        inside = [
            (f"{name}.{key}", words)
            for name, part in parts.items()
            for key in (type(part).model_fields if part else ())
            if isinstance(words := getattr(part, key), tuple)
        ]
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
    def kind(self) -> Family:
        """Its family, with the adapter's own map of steps if it has one."""
        family = families.load(self.family)
        return replace(family, steps_of=partial(by_patterns, self.steps)) if self.steps else family

    def without(self, step: str) -> str:
        """Why its init does not have this step; "" if it may have it."""
        if step and step not in ("all", *self.kind.steps):
            return f"drivers of the family '{self.family}' have no such step"
        return self.absent.get(step, "")

    @property
    def packages(self) -> tuple[str, ...]:
        """Debian's packages, of the driver and of its family's part of the probe."""
        return tuple(dict.fromkeys((*self.install.packages, *self.kind.packages)))

    @property
    def form(self) -> str:
        """The format of its records."""
        return formats.COMMAND if self.records else self.metadata

    @property
    def whole(self) -> str:
        """The directory that lies on a disk of its own when the power is cut."""
        return self.data_root or self.root

    @property
    def users(self) -> Volume | Populate | None:
        """How a user's volume is made, mounted and removed; None if the adapter does not say."""
        return self.volume if self.volume.create else self.populate

    def expectation(self, options: Sequence[str], deadline: float) -> Expectation:
        """What one init with these further storage options is to bring about. Raises UsageError."""
        asked = Asked(
            deadline=deadline,
            options=(*self.options, *options),
            stated=self.expect,
            metadata_format=self.form,
            not_applicable=self.not_applicable,
            allowed=self.differs,
            subvolume=self.volume.subvolume,
        )
        return self.kind.expected(asked)

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

    def probed(self) -> dict[str, Any]:
        """What the guest's probe is to look at: what it knows by itself is left out."""
        users = self.users
        spec = {
            "part": self.kind.guest,
            "root": self.root,
            "format": self.form,
            "pool_name": self.devices.pool,
            "base_name": self.devices.base,
            "data": self._filled(self.devices.data),
            "metadata": self._filled(self.devices.metadata),
            "group": self.devices.group,
            "system": self._filled(self.devices.system),
            "prefixes": list(self.devices.prefixes),
            "records": self.command(self.records.command) if self.records else [],
            "device": self.volume.device,
            "mounted": self._filled(self.volume.mounted),
            "command": self.command(self.volume.command),
            "subvolume": self.volume.subvolume,
            "users": {key: self.command(getattr(users, key)) for key in ("create", "mount", "unmount", "remove")}
            if users
            else {},
        }
        return {key: value for key, value in spec.items() if value}

    def _filled(self, path: str) -> str:
        return path.replace("{root}", self.root)

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
        upload(machine, [*self._uploads(), part(self.kind)])
        if modules := [*self.kind.modules, *self.install.modules]:
            machine.run("modprobe", "-a", "--", *modules).check()
        machine.call("part", name=self.kind.guest)  # in the template, so that no trial has to load it
        for file in self.install.files:
            machine.run("python3", "-m", "compileall", "-q", file.target)  # a failure costs time, nothing else
        # Under emulation, reading a program from the disk costs more than running it: have it in the page cache.
        machine.run("sh", "-c", 'cat "$(command -v "$0")" > /dev/null', self.init[0])


def part(family: Family) -> Upload:
    """A family's part of the probe, and where machines import it from. Raises UsageError."""
    found = importlib.util.find_spec(family.guest)
    if found is None or not found.submodule_search_locations:
        raise UsageError(
            f"the family '{family.name}' has its part of the probe in '{family.guest}', which is no package."
        )
    return Path(found.submodule_search_locations[0]), f"{PARTS}/{family.guest.replace('.', '/')}"


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
