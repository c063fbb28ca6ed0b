"""A baseline's entries: failures that are known, by their kind. A run fails for what is new, and for what is mended.

[[known]]
driver = "containerd"
clause = "C01"                     # the first clause that fails
words = "the first re-init ended with exit status N: 'object already exists'"
reason = "the snapshotter does not look whether a device is there already (containerd 1234)"
scenarios = ["conformance/kill"]   # where it was seen: only a run of all of these can tell that it is mended
guests = ["debian12"]              # likewise, where it was seen under some of several guests
sometimes = true                   # a race: these places may converge as well
seeds = [0, 1, 2]                  # instead, where machines heed a seed: it fails under some of these
[known.at]                         # the step and the operation, and the clauses that may fail there as well
"mkfs: dev.write ctd-pool-snap-N" = ["C06", "C13"]

No entry names a running number: one more operation in a driver moves nothing.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from crashinit import families
from crashinit.errors import UsageError
from crashinit.files import refused, textfile, tomlfile
from crashinit.model.events import TrialResult
from crashinit.model.operations import uncounted
from crashinit.report.kinds import first, steady

NOT_FIRED = "not-fired"  # in the place of a clause
NO_STEP = "-"

Strings = tuple[str, ...]


class Known(BaseModel):
    """Failures of one kind, and where they are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clause: str = Field(description=f"The first clause that fails, or '{NOT_FIRED}'.")
    words: str = Field(description="What is said of it, with 'N' in the place of each number.")
    reason: str = Field(min_length=1, description="Why it fails, or who knows of it.")
    at: Mapping[str, frozenset[str]] = Field(
        min_length=1, description="'STEP: OPERATION' without numbers, and the clauses that may fail there as well."
    )
    driver: str = Field(default="", description="The driver's name; of any, if it is left out.")
    scenarios: Strings = Field(default=(), description="Where it was seen: only a run of all of these can miss it.")
    guests: Strings = Field(default=(), description="Where it was seen: only a run under one of these can miss it.")
    sometimes: bool = Field(default=False, description="It is a race, so that its places may converge as well.")
    seeds: frozenset[int] = Field(
        default=frozenset(), description="It is a race, and was tried under these seeds, of which it fails under some."
    )

    @field_validator("clause")
    @classmethod
    def _is_clause(cls, named: str) -> str:
        return named if named == NOT_FIRED else _clauses([named])[0]

    @field_validator("at")
    @classmethod
    def _are_clauses(cls, at: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
        for place, named in at.items():
            if ": " not in place:
                raise ValueError(f"'{place}' names no place: write 'STEP: OPERATION'")
            _clauses(sorted(named))
        return at

    def explains(self, result: TrialResult) -> bool:
        """Whether this failure is no more than what is known; whose result it is has been seen to."""
        if kind(result) != (self.clause, self.words):
            return False
        also = self.at.get(place(result.step, result.operation))
        return also is not None and set(failed_clauses(result)) <= {self.clause, *also}

    def title(self) -> str:
        """The entry in a few words."""
        name = known[self.clause].name if self.clause in (known := families.clauses()) else ""
        of = f" of {self.driver}" if self.driver else ""
        return f"{self.clause} {name}".rstrip() + f"{of}: {self.words}"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    known: tuple[Known, ...] = ()  # a clean run's baseline holds nothing


def load(path: Path) -> tuple[Known, ...]:
    """Read a baseline. Raises UsageError that says what is wrong in which file."""
    try:
        data = tomlfile.read(textfile.read(path, "the baseline"))
        _refuse_ids(path, data)
        return _File.model_validate(data).known
    except ValidationError as error:
        fault = refused.first(error)
        entry = f", entry {fault['loc'][1] + 1}" if len(fault["loc"]) > 1 and isinstance(fault["loc"][1], int) else ""
        called = f"'{fault['loc'][2]}'" if len(fault["loc"]) > 2 else ""
        raise UsageError(f"the baseline '{path}'{entry}: {refused.sentence(fault, _File, called=called)}") from error
    except ValueError as error:
        raise UsageError(f"the baseline '{path}' is not valid TOML: {error}.") from error


def _refuse_ids(path: Path, data: object) -> None:
    entries = data.get("known") if isinstance(data, dict) else None
    if isinstance(entries, list) and any(isinstance(entry, dict) and "id" in entry for entry in entries):
        raise UsageError(
            f"the baseline '{path}' names trials by their ids, as an earlier version wrote it: write it anew by kind, "
            "with 'crashinit baseline DIR' from a run's directory."
        )


def kind(result: TrialResult) -> tuple[str, str]:
    """A failure's clause and words; of a fault that did not fire that, and why."""
    clause, said = first(result)
    return clause, _encodable(steady(said))


def place(step: str, operation: str) -> str:
    """A step and an operation of it, without what counts operations and objects: 'mkfs: dev.write base'."""
    return _encodable(f"{step or NO_STEP}: {uncounted(operation)}")


def failed_clauses(result: TrialResult) -> list[str]:
    """The clauses that failed, in any of the trial's tries."""
    failed = {clause for clause, status in result.clauses.items() if status == "fail"}
    return sorted(failed.union(*(one["failed"] for one in result.tries)))


def seeds_of(result: TrialResult) -> frozenset[int]:
    """The seeds under which a trial was tried and judged; none where its machines heed none."""
    tried = {one["seed"] for one in result.tries if "seed" in one and one["outcome"] in ("converged", "diverged")}
    return frozenset(tried) if tried or result.seed is None else frozenset({result.seed})


def _clauses(named: list[str]) -> list[str]:
    if unknown := [name for name in named if name not in families.clauses()]:
        raise ValueError(f"'{unknown[0]}' is no clause: they are {', '.join(families.clauses())}")
    return named


def _encodable(text: str) -> str:
    """The text as a file can hold it: half a surrogate pair, which TOML cannot, as it is shown elsewhere."""
    return text.encode(errors="backslashreplace").decode()
