"""The adapter: all that the harness knows of one driver, read from a TOML file."""

import difflib
import importlib.util
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from pydantic import (
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from crashinit import families
from crashinit.adapters import own
from crashinit.adapters.parts import (
    Devices,
    GuestPath,
    GuestPathOrNone,
    Install,
    Part,
    Populate,
    Ready,
    Records,
    Volume,
)
from crashinit.contract import formats
from crashinit.contract.expectation import Asked, Expectation
from crashinit.contract.family import Family, by_patterns
from crashinit.errors import UsageError
from crashinit.files import refused
from crashinit.machine.protocol import Machine
from crashinit.machine.upload import Upload, listed, upload

HERE = Path(__file__).parent
# An adapter's name becomes a directory's name.
NAME_LIMIT = 64  # characters
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._+-]{{,{NAME_LIMIT - 1}}}", re.ASCII)
NAME_IS = f"letters, digits and '._+-', at most {NAME_LIMIT} of them, a letter or digit first"
PARTS = "/opt/crashinit"  # of the machine: the agent imports from here
PLACE = re.compile(r"\{(\w+)\}")  # a word of a command in whose place something is put
PLACES = ("root", "options", "id")


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
    # step -> what begins it, where the map of its family is wrong
    steps: dict[str, tuple[str, ...]] = Field(default_factory=dict)
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

    def check_files(self) -> list[Upload]:
        """All files that the machine is to get. Raises UsageError, with file and key, where one is not there."""
        uploads = self._uploads()
        others = [(path, str(path)) for path in (*self._archives(), *self._debs())]
        with self._naming(""):
            return listed([*uploads, *others])

    def _archives(self) -> list[Path]:
        return [self._file(archive.source, "install.archives.source") for archive in self.install.archives]

    def _debs(self) -> list[Path]:
        return [self._file(deb, "install.debs") for deb in self.install.debs]

    def _file(self, source: str, key: str) -> Path:
        path = self.directory / source
        if not path.is_file():
            raise UsageError(f"{self._places.get('', '')}'{key}': there is no file '{path}'.")
        return path

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
        uploads = self._uploads()
        upload(machine, [*uploads, part(self.kind)])
        self._load_modules(machine)
        machine.call("part", name=self.kind.guest)  # in the template, so that no trial has to load it
        for file in self.install.files:
            if file.mode is not None:
                machine.run("chmod", f"{file.mode:o}", file.target).check()
        for archive, path in zip(self.install.archives, self._archives(), strict=True):
            own.unpack(machine, path, archive.target)
        own.install(machine, self._debs())
        self._check_libraries(machine, uploads)
        if directories := [target for path, target in uploads if path.is_dir()]:
            machine.run("python3", "-m", "compileall", "-q", *directories)  # a failure costs time, nothing else
        # Under emulation, reading a program from the disk costs more than running it: have it in the page cache.
        machine.run("sh", "-c", 'cat "$(command -v "$0")" > /dev/null', self.init[0])

    def _load_modules(self, machine: Machine) -> None:
        for module in (*self.kind.modules, *self.install.modules):
            if machine.run("modprobe", "--", module).exit:
                raise UsageError(
                    f"the adapter '{self.name}': the machine's kernel {machine.kernel} has no module '{module}': "
                    "correct 'install.modules', or give another '--guest'."
                )

    def _check_libraries(self, machine: Machine, uploads: Sequence[Upload]) -> None:
        built = [program for path, target in uploads for program in own.programs(path, target)]
        if self.install.archives or self.install.debs:
            where = machine.run("sh", "-c", 'command -v "$0"', self.init[0]).stdout.strip()
            built += [(self.init[0], where)] * bool(where)
        own.check_libraries(machine, built)


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
