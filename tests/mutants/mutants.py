"""Mutants: the reference driver with one known bug each, kept as patches.

A patch begins with a head in the form of mail headers: what the bug is (Bug), the clauses that name it (Clauses), those
that fail as well because of what it leads to (Also), and the fault: at which operation (At) of an init of which root
(Given, a fresh one where it is missing) which victim is killed (Victim), or which error the operation returns (Error,
with the victim 'once' or 'always'). Where the name begins with "power-" the power is cut: Given is the layout, Victim
the crash state. Or else the head names the test in scenarios/conditions that must fail (Condition). Words that the
reason of the first clause holds may be given (Says). The bugs of other projects are named by project and thread.

Exactly the clauses of both lists fail, and no other: a clause that fails for anything would prove nothing.
"""

import shutil
import subprocess
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from crashinit import families
from crashinit.adapters.adapter import HERE as ADAPTERS
from crashinit.faults.planned import trials
from crashinit.model.trial import Trial
from crashinit.scenario.scenario import Scenario

from ..contract.builder import run

HERE = Path(__file__).parent
DRIVER = HERE.parent.parent / "driver"
INSTALLED = "python:thindriver"  # where the reference driver's adapter takes it from
BY_POWER_CUT = "power-"  # what the names of mutants begin with that no kill can tell from the driver

SAMPLE = 4  # mutants of a test run; the next day has the next ones


@dataclass(frozen=True)
class Mutant:
    """One patch and what must catch it: `clauses` and `also` fail, and no others."""

    name: str
    bug: str
    clauses: tuple[str, ...]
    patch: Path
    at: str = ""
    victim: str = ""
    given: str = "fresh"
    error: str = ""
    condition: str = ""  # instead of the four above
    also: tuple[str, ...] = ()
    says: str = ""  # words of the first clause's reason

    @classmethod
    def read(cls, patch: Path) -> "Mutant":
        """Read a patch's head; a field that is missing or unknown is a KeyError or TypeError."""
        head = HeaderParser().parsestr(patch.read_text())
        known = {key.lower(): value for key, value in head.items()}
        clauses, also = (tuple(words.split()) for words in (known.pop("clauses"), known.pop("also", "")))
        return cls(name=patch.stem, patch=patch, clauses=clauses, also=also, **known)

    @property
    def by_power_cut(self) -> bool:
        return self.name.startswith(BY_POWER_CUT)

    @property
    def caught_by(self) -> set[str]:
        """The clauses that fail."""
        return {*self.clauses, *self.also}

    @property
    def trial(self) -> Trial:
        """The one trial that must catch it."""
        fault = {"fault": "errno", "errnos": [self.error]} if self.error else {"victims": [self.victim]}
        about = {"title": self.bug, "name": self.name, "given": self.given, "at": [self.at]}
        planned = trials(Scenario.model_validate(about | fault), run(), "reference", families.load())
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
    """Every mutant, by name."""
    return [Mutant.read(patch) for patch in sorted(HERE.glob("*.patch"))]
