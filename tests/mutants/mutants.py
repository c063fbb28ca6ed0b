"""Mutants: the reference driver with one known bug each, kept as patches.

A patch begins with a head in the form of mail headers: what the bug is, at which operations which victim is
killed, and the clauses of which at least one must fail.
"""

import shutil
import subprocess
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from crashinit.adapters import Adapter, load
from crashinit.adapters.adapter import Install, Source

HERE = Path(__file__).parent
DRIVER = HERE.parent.parent / "driver"


@dataclass(frozen=True)
class Mutant:
    """One patch and what must catch it."""

    name: str
    bug: str
    at: str
    victim: str
    given: str
    clauses: tuple[str, ...]
    patch: Path

    @classmethod
    def read(cls, patch: Path) -> "Mutant":
        """Read a patch's head; a field that is missing is a KeyError."""
        head = HeaderParser().parsestr(patch.read_text())
        return cls(
            name=patch.stem,
            bug=head["Bug"],
            at=head["At"],
            victim=head["Victim"],
            given=head.get("Given", "fresh"),
            clauses=tuple(head["Clauses"].split()),
            patch=patch,
        )

    def adapter(self, directory: Path) -> Adapter:
        """The reference driver's adapter, with the mutant's source in this directory instead of the driver's."""
        shutil.copytree(DRIVER, directory / "driver", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        subprocess.run(["git", "apply", "--whitespace=nowarn", self.patch], cwd=directory, check=True)
        reference = load("reference")
        source = Source(source=str(directory / "driver" / "thindriver"), target=reference.install.files[0].target)
        return reference.model_copy(update={"name": self.name, "install": Install(files=(source,))})


def mutants() -> list[Mutant]:
    """Every mutant, by name."""
    return [Mutant.read(patch) for patch in sorted(HERE.glob("*.patch"))]
