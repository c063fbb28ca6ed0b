"""Mutants: the reference driver with one known bug each, kept as patches.

A patch begins with a head in the form of mail headers: what the bug is (Bug), the clauses of which at least one must
fail (Clauses), and the fault: at which operation (At) of an init of which root (Given, a fresh one where it is missing)
which victim is killed (Victim), or which error the operation returns (Error, with the victim 'once' or 'always'). Or
else it names the test in scenarios/conditions that must fail (Condition). The bugs of other projects are named by
project and thread.
"""

import shutil
import subprocess
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from crashinit.adapters.adapter import HERE as ADAPTERS
from crashinit.plan import Trial, trials
from crashinit.scenario import Scenario

HERE = Path(__file__).parent
DRIVER = HERE.parent.parent / "driver"
INSTALLED = "python:thindriver"  # where the reference driver's adapter takes it from
BY_POWER_CUT = "power-"  # what the names of mutants begin with that no kill can tell from the driver

# Stand for all in every test run: one a step, and each group of clauses.
REPRESENTATIVE = (
    "base-initialised-before-mkfs",
    "half-made-pool-taken-for-live",
    "loop-flags-in-a-second-request",
    "metadata-in-place",
    "transaction-opened-too-late",
    "udev-cookie-leaked",
)


@dataclass(frozen=True)
class Mutant:
    """One patch and what must catch it."""

    name: str
    bug: str
    clauses: tuple[str, ...]
    patch: Path
    at: str = ""
    victim: str = ""
    given: str = "fresh"
    error: str = ""
    condition: str = ""  # instead of the four above

    @classmethod
    def read(cls, patch: Path) -> "Mutant":
        """Read a patch's head; a field that is missing or unknown is a KeyError or TypeError."""
        head = HeaderParser().parsestr(patch.read_text())
        known = {key.lower(): value for key, value in head.items()}
        return cls(name=patch.stem, patch=patch, clauses=tuple(known.pop("clauses").split()), **known)

    @property
    def trial(self) -> Trial:
        """The one trial that must catch it."""
        fault = {"fault": "errno", "errnos": [self.error]} if self.error else {"victims": [self.victim]}
        about = {"title": self.bug, "name": self.name, "given": self.given, "at": [self.at]}
        planned = trials(Scenario.model_validate(about | fault), [], "reference")
        [trial] = [trial for trial in planned if trial.victim == self.victim]
        return trial

    def adapter(self, directory: Path) -> Path:
        """An adapter file like the reference driver's, but of the mutant, whose source goes to this directory."""
        shutil.copytree(DRIVER, directory / "driver", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        subprocess.run(["git", "apply", "--whitespace=nowarn", self.patch], cwd=directory, check=True)
        reference = (ADAPTERS / "reference.toml").read_text()
        file = directory / "mutant.toml"
        shutil.copytree(ADAPTERS / "reference", directory / "reference")
        file.write_text(reference.replace(f'"{INSTALLED}"', '"driver/thindriver"', 1))
        return file


def mutants() -> list[Mutant]:
    """Every mutant that can be told from the driver without a power cut, by name."""
    return [Mutant.read(patch) for patch in sorted(HERE.glob("*.patch")) if not patch.stem.startswith(BY_POWER_CUT)]
