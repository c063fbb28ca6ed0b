"""What a bundle says of itself: `bundle.json`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crashinit.errors import UsageError
from crashinit.files import refused, textfile
from crashinit.files.safe import parsed, write_text
from crashinit.report.again import BUNDLE

ADAPTER, GUEST = "adapter", "guest"  # directories in the bundle

Line = Annotated[str, Field(max_length=200)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]  # of an adapter or a guest


class Part(BaseModel):
    """A part of it: frozen, and it refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Guest(Part):
    """What the machines ran."""

    name: Name
    own: bool  # its file is none of those that come along
    kernel: Line  # the release; "": not recorded
    packages: dict[Line, Line]  # their versions by name; {}: not recorded


class About(Part):
    """All of it."""

    form: Literal[1]
    trial: Annotated[str, Field(max_length=1000)]
    crashinit: Line  # its version
    name: Annotated[str, Field(max_length=4096)]  # of the archive's file; of one that is open here, its path
    driver: Name  # whose adapter it is
    guest: Guest
    images: tuple[Line, ...] = ()  # the files with the root before the next init, or with its disks

    @property
    def adapter(self) -> str:
        """The path of the adapter's file."""
        return f"{ADAPTER}/{self.driver}.toml"

    @property
    def guest_file(self) -> str:
        """The path of the guest's file."""
        return f"{GUEST}/{self.guest.name}.toml"

    def write(self, directory: Path) -> None:
        """Write it into a bundle's directory."""
        write_text(directory / BUNDLE, self.model_dump_json(indent=1) + "\n")


def read(directory: Path, archive: Path) -> About:
    """What the bundle in that directory says. Raises UsageError that names its archive."""
    try:
        return About.model_validate(parsed(textfile.read(directory / BUNDLE, "a bundle's record")))
    except ValidationError as error:
        said = refused.sentence(refused.first(error), About)
        raise UsageError(f"'{archive}' is no bundle of this version: '{BUNDLE}' in it: {said}") from error
    except (UsageError, ValueError) as error:
        raise UsageError(f"'{archive}' is no bundle: 'crashinit bundle TRIAL' makes one.") from error
