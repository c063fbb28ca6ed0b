"""A baseline: failures that are known, each with its reason. A run fails for what is new, and for what is mended.

[[known]]
id = "steps/mkfs/during/*/tree"
reason = "docker 20.10 takes a base without a file system for an initialised one (moby 5684)"
clauses = ["C06", "C07"]  # if given, the failure of any other clause is new
sometimes = true          # a race: it may also converge
seeds = [0, 1, 2]         # instead, where machines heed a seed: it fails under some of these

An entry that names no trial of a whole run is as wrong as one that is mended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from crashinit.contract.clauses import CLAUSES
from crashinit.errors import UsageError
from crashinit.files import refused, textfile, tomlfile
from crashinit.model.events import TrialResult
from crashinit.report.kinds import how_often
from crashinit.report.results import RunRecord
from crashinit.report.words import many

# A run of an earlier version does not say whether only a part of it was asked for, but by what it left out
NARROWED = ("they were not selected", "boundaries in other steps than")

HEADER = """\
# Failures that are known, for '--baseline FILE' of 'crashinit run' and 'crashinit explore'.
# With it a run passes if just these trials fail. A failure that is not written here fails it, and so does an entry
# whose trials do not fail any more, or which names no trial of a run that was not narrowed by '-k' or '--step'.
#
# Go through the entries, and say in each 'reason' why it fails, or who knows of it. 'id' may hold '*' for many trials.
# 'clauses' are the clauses that are known to fail: the failure of any other is new. Without it, any may fail.
# 'sometimes = true' says that the failure is a race: the trial may converge as well. It is filled in where a trial was
# tried several times and converged in some. Where machines heed a seed, 'seeds' stands in its place: those under which
# it was tried, of which it fails under some. What a run under other seeds shows, this entry does not say.
"""


class Known(BaseModel):
    """Trials that are known to fail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, description="A trial's id, or a pattern with '*' for many.")
    reason: str = Field(min_length=1, description="Why it fails, or who knows of it.")
    clauses: frozenset[str] = Field(
        default=frozenset(), description="The clauses that are known to fail; of any other the failure is new."
    )
    sometimes: bool = Field(default=False, description="It is a race, so that the trial may converge as well.")
    seeds: frozenset[int] = Field(
        default=frozenset(), description="It is a race, and was tried under these seeds, of which it fails under some."
    )

    @field_validator("clauses")
    @classmethod
    def _are_clauses(cls, named: frozenset[str]) -> frozenset[str]:
        if unknown := sorted(named - CLAUSES.keys()):
            raise ValueError(f"'{unknown[0]}' is no clause: they are {', '.join(CLAUSES)}")
        return named

    def explains(self, result: TrialResult) -> bool:
        """Whether this failure is no more than what is known."""
        failed = set(_failed(result))
        return result.outcome != "error" and (not self.clauses or failed <= self.clauses)

    def is_mended_by(self, result: TrialResult) -> bool:
        """Whether a trial that converged should have failed by this entry."""
        if self.sometimes:
            return False
        return not self.seeds or self.seeds <= seeds_of(result)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    known: tuple[Known, ...] = ()  # a clean run's baseline holds nothing


@dataclass(frozen=True)
class Judgement:
    """A run held against its baseline."""

    expected: list[TrialResult]
    new: list[TrialResult]  # failures that the baseline does not know
    mended: list[tuple[TrialResult, Known]]  # known failures that did not fail
    stale: list[Known] = field(default_factory=list)  # entries that name no trial

    @property
    def rotten(self) -> bool:
        """Whether the baseline itself is out of date."""
        return bool(self.mended or self.stale)

    def sentences(self) -> list[str]:
        """What a reader must know, one line each."""
        lines = [f"new failure: {result.id}: {result.outcome}: {result.reason}" for result in self.new]
        lines += [
            f"no longer fails: {result.id}: take '{known.id}' ({known.reason}) out of the baseline"
            for result, known in self.mended
        ]
        lines += [
            f"names nothing: '{known.id}' ({known.reason}) matches no trial of the run: correct it, or take it out of "
            "the baseline"
            for known in self.stale
        ]
        mended = f"{len(self.mended)} no longer {'fails' if len(self.mended) == 1 else 'fail'}"
        counts = [many(len(self.expected), "known failure"), f"{len(self.new)} new", mended]
        if self.stale:
            counts.append(many(len(self.stale), "entry names nothing", "entries name nothing"))
        return [*lines, f"baseline: {', '.join(counts)}"]


def load(path: Path) -> tuple[Known, ...]:
    """Read a baseline. Raises UsageError that says what is wrong in which file."""
    try:
        return _File.model_validate(tomlfile.read(textfile.read(path, "the baseline"))).known
    except ValidationError as error:
        fault = refused.first(error)
        entry = f", entry {fault['loc'][1] + 1}" if len(fault["loc"]) > 1 and isinstance(fault["loc"][1], int) else ""
        called = f"'{fault['loc'][2]}'" if len(fault["loc"]) > 2 else ""
        raise UsageError(f"the baseline '{path}'{entry}: {refused.sentence(fault, _File, called=called)}") from error
    except ValueError as error:
        raise UsageError(f"the baseline '{path}' is not valid TOML: {error}.") from error


def is_whole(run: RunRecord) -> bool:
    """Whether the run tried all that it could: nothing was left unselected, and nothing interrupted it."""
    narrowed = run.narrowed
    if narrowed is None:
        narrowed = any(words in sentence for sentence in run.left_out for words in NARROWED)
    return not narrowed and not run.interrupted and not run.not_run


def judge(results: Sequence[TrialResult], known: Sequence[Known], *, whole: bool = False) -> Judgement:
    """Sort results by whether their outcome was known. The harness's own errors are never known: they are new.

    `whole`: these are all results of a whole run, so that an entry that matches none of them names nothing.
    """
    expected: list[TrialResult] = []
    new: list[TrialResult] = []
    mended: list[tuple[TrialResult, Known]] = []
    for result in results:
        entry = next((one for one in known if fnmatchcase(result.id, one.id)), None)
        if result.outcome == "converged":
            if entry and entry.is_mended_by(result):
                mended.append((result, entry))
        elif entry and entry.explains(result):
            expected.append(result)
        else:
            new.append(result)
    named = {entry.id for entry in known for result in results if fnmatchcase(result.id, entry.id)}
    return Judgement(expected, new, mended, [entry for entry in known if whole and entry.id not in named])


def written(results: Sequence[TrialResult]) -> str:
    """A first baseline from a run's failures by id, for a person to go through."""
    failures = sorted((r for r in results if r.outcome in ("diverged", "not-fired")), key=lambda result: result.id)
    return "\n".join([HEADER, *map(_entry, failures)])


def _entry(result: TrialResult) -> str:
    lines = ["[[known]]", f"id = {_quoted(result.id)}", f"reason = {_quoted(result.reason)}"]
    if failed := _failed(result):
        lines.append(f"clauses = [{', '.join(map(_quoted, failed))}]")
    if any(one["outcome"] == "converged" for one in result.tries):
        asked = sorted(seeds_of(result))
        lines.append(f"{f'seeds = {asked}' if asked else 'sometimes = true'}  # {how_often([result])}")
    return "\n".join(lines) + "\n"


def seeds_of(result: TrialResult) -> frozenset[int]:
    """The seeds under which a trial was tried and judged; none where its machines heed none."""
    tried = {one["seed"] for one in result.tries if "seed" in one and one["outcome"] in ("converged", "diverged")}
    return frozenset(tried) if tried or result.seed is None else frozenset({result.seed})


def _failed(result: TrialResult) -> list[str]:
    """The clauses that failed, in any of the trial's tries."""
    failed = {clause for clause, status in result.clauses.items() if status == "fail"}
    return sorted(failed.union(*(one["failed"] for one in result.tries)))


def _quoted(text: str) -> str:
    """A TOML basic string. Half a surrogate pair, which TOML cannot hold, is written as it is shown elsewhere."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else _escape(char) for char in escaped) + '"'


def _escape(char: str) -> str:
    if "\ud800" <= char <= "\udfff":
        return f"\\\\u{ord(char):04x}"
    return f"\\U{ord(char):08x}"
