"""The guest file: which distribution, kernel and packages a machine has, read from TOML."""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from crashinit.errors import UsageError
from crashinit.files import refused, shipped, textfile, tomlfile
from crashinit.machine.cache import MIB, digest
from crashinit.machine.guests.packages import SUITE, Packages, wrong

HERE = Path(__file__).parent
DEFAULT = "debian12"
MIRROR = "http://deb.debian.org/debian"
SECURITY = "http://security.debian.org/debian-security"
MOVING = ("sid", "unstable", "testing", "experimental")  # suites without updates beside them
BACKPORTS = "-backports"  # such a suite is the one before it, and this one's packages where there are any
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)  # becomes a part of file names
WORD = re.compile(r"[!-~]+")  # of a line of sources.list(5), or of the kernel's command line
PLACE = re.compile(r"(?:http|https|file):[!-Z^-~]+")  # an archive; a bracket would begin options there
OPTION = re.compile(r"[A-Za-z0-9_./-]+", re.ASCII)  # the name of a sysctl
# What an image does not depend on
SAID_ELSEWHERE = {"title", "cmdline", "sysctl", "memory", "box", "directory", "source"}
LEAST_MEMORY = 256  # MiB; less does not boot


class Part(BaseModel):
    """A part of a guest: frozen, and it refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _words(value: str, kind: re.Pattern[str], what: str) -> str:
    if not kind.fullmatch(value):
        raise ValueError(f"'{value}' is not {what}")
    return value


class Archive(Part):
    """A further source of packages, as sources.list(5) has it."""

    uri: str
    suite: str
    components: tuple[str, ...] = ("main",)
    key: str = ""  # a file with the archive's public key, relative to the guest file; "": a key that the host knows

    @model_validator(mode="after")
    def _is_a_line(self) -> Self:
        _words(self.uri, PLACE, "the address of an archive, 'http://...', 'https://...' or 'file:/...'")
        for word in (self.suite, *self.components):
            _words(word, re.compile(r"[A-Za-z0-9][A-Za-z0-9./_+-]*", re.ASCII), "a suite or component of an archive")
        return self

    def line(self, key: Path | None = None) -> str:
        """The line for apt."""
        options = f"[signed-by={key}] " if key else ""
        return f"deb {options}{self.uri} {self.suite} {' '.join(self.components)}"


class Kernel(Part):
    """The kernel: a package's, or one of your own."""

    package: str = "linux-image-cloud-amd64"
    image: str = ""  # a bzImage, relative to the guest file; it takes the package's place
    modules: str = ""  # what `make modules_install` has made of it: the directory that is called as its release

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if said := wrong([self.package]):
            raise ValueError(said)
        if self.modules and not self.image:
            raise ValueError("'modules' belong to an 'image': give both, or a 'package'")
        return self


class Guest(Part):
    """One guest."""

    name: str
    title: str = Field(min_length=1, max_length=100)
    suite: str
    mirror: str = MIRROR
    components: tuple[str, ...] = ("main",)
    key: str = ""  # of the mirror, where the host does not know it
    sources: tuple[Archive, ...] = ()
    packages: Packages = ()  # beyond the standard ones
    kernel: Kernel = Kernel()
    cmdline: str = ""  # after the harness's own words
    sysctl: dict[str, str | int] = Field(default_factory=dict)
    memory: int | None = Field(default=None, ge=LEAST_MEMORY, le=65536)  # MiB; None: the provider's
    box: str = ""  # the Vagrant box that stands for it; "": one that `crashinit image box` makes
    directory: Path = HERE  # the directory that relative paths are meant from
    source: str = DEFAULT  # by what it was asked for: its name, or the file's path

    @field_validator("name")
    @classmethod
    def _is_a_file_name(cls, name: str) -> str:
        return _words(name, NAME, "a name for a guest, which has letters, digits and '._+-', at most 64")

    @field_validator("title")
    @classmethod
    def _is_a_line(cls, title: str) -> str:
        if not title.isprintable():
            raise ValueError("a title is one line of printable characters")
        return title

    @field_validator("suite")
    @classmethod
    def _is_a_suite(cls, suite: str) -> str:
        return _words(suite, re.compile(SUITE, re.ASCII), "the name of a suite, such as 'trixie'")

    @field_validator("cmdline")
    @classmethod
    def _are_words(cls, cmdline: str) -> str:
        for word in cmdline.split():
            _words(word, WORD, "a word for the kernel's command line")
        return " ".join(cmdline.split())

    @field_validator("sysctl")
    @classmethod
    def _are_sysctls(cls, given: dict[str, str | int]) -> dict[str, str | int]:
        for name, value in given.items():
            _words(name, OPTION, "the name of a sysctl")
            _words(str(value), WORD, f"a value for the sysctl '{name}'")
        return given

    @model_validator(mode="after")
    def _mirror_is_an_archive(self) -> Self:
        self.archive()
        return self

    @property
    def base(self) -> str:
        """The suite that the system is made of."""
        return self.suite.removesuffix(BACKPORTS)

    def archive(self) -> Archive:
        """Where the system's own packages come from."""
        return Archive(uri=self.mirror, suite=self.base, components=self.components, key=self.key)

    def archives(self) -> list[Archive]:
        """All that packages may come from, the system's own first."""
        own = self.archive()
        further = [own.model_copy(update={"suite": self.suite})] if self.suite != self.base else []
        if self.mirror == MIRROR and self.base not in MOVING:
            further.append(own.model_copy(update={"suite": f"{self.base}-updates"}))
            further.append(own.model_copy(update={"suite": f"{self.base}-security", "uri": SECURITY}))
        return [own, *further, *self.sources]

    def lines(self) -> list[str]:
        """The sources as lines for apt. Raises UsageError when a key is not there."""
        return [each.line(self.path("key", each.key) if each.key else None) for each in self.archives()]

    def named_packages(self) -> tuple[str, ...]:
        """The packages that it asks for itself, that of its kernel among them."""
        return (*self.packages, *([] if self.kernel.image else [self.kernel.package]))

    def path(self, key: str, value: str, *, directory: bool = False) -> Path:
        """A path that the file names. Raises UsageError when it is not there."""
        path = (self.directory / value).resolve()
        if not (path.is_dir() if directory else path.is_file()):
            kind = "directory" if directory else "file"
            raise UsageError(f"the guest '{self.name}': '{key}' names the {kind} '{path}', and there is none.")
        return path

    def kernel_files(self) -> tuple[Path, Path | None] | None:
        """The kernel of one's own and its modules, or None. Raises UsageError when one of them is not there."""
        if not self.kernel.image:
            return None
        image = self.path("kernel.image", self.kernel.image)
        modules = self.kernel.modules
        return image, self.path("kernel.modules", modules, directory=True) if modules else None

    def words(self) -> str:
        """What it adds to the kernel's command line; the kernel sets sysctls from there before anything runs."""
        return " ".join([*self.cmdline.split(), *(f"sysctl.{name}={value}" for name, value in self.sysctl.items())])

    def bytes(self) -> int | None:
        """A machine's memory in bytes, if the file says how much."""
        return None if self.memory is None else self.memory * MIB

    def digest(self) -> str:
        """A key over all that an image is made of: what the file says, and the files that it names."""
        said = self.model_dump_json(exclude=SAID_ELSEWHERE)
        named = [self.path("key", each.key).read_bytes() for each in self.archives() if each.key]
        return digest(said, *named, *_contents(self.kernel_files()))


def _contents(kernel: tuple[Path, Path | None] | None) -> Iterator[bytes | str]:
    """A kernel's files, and of its modules the names, sizes and times."""
    if kernel:
        image, modules = kernel
        yield image.read_bytes()
        for path in sorted(modules.rglob("*")) if modules else ():
            if path.is_file() and not path.is_symlink():
                status = path.stat()
                yield f"{path.relative_to(modules or path)} {status.st_size} {status.st_mtime_ns}"


def names() -> list[str]:
    """The guests that come with the harness."""
    return shipped.names(HERE)


def file(name: str) -> Path:
    """The file of the guest of that name, or that file. Raises UsageError when it is not there."""
    return shipped.found(name, HERE, "guest", "guest")


def load(name: str) -> Guest:
    """The guest of that name, or in that file; raises UsageError that says what is wrong and where."""
    path = file(name)
    return _read(path, name, path.stat().st_mtime_ns)


@lru_cache
def _read(path: Path, name: str, _when: int) -> Guest:
    text = textfile.read(path, "the guest file")
    try:
        data: dict[str, Any] = tomlfile.read(text)
    except ValueError as error:
        raise UsageError(f"'{path}': not valid TOML: {error}.") from error
    if wrong_key := {"directory", "source"} & set(data):
        raise UsageError(f"'{path}': '{wrong_key.pop()}' is not a key of a guest file.")
    try:
        return Guest(**data, directory=path.resolve().parent, source=name)
    except ValidationError as error:
        raise UsageError(f"'{path}': {refused.sentence(refused.first(error), Guest)}") from error
