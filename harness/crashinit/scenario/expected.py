"""What a scenario that models a report expects of each driver, and whether a run has met it."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from crashinit.model.events import TrialResult

CONVERGED = "converged"


class Report(BaseModel):
    """A failure that somebody reported in public."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str = Field(description="As its host names it: 'moby/moby'.")
    number: int = Field(gt=0, strict=True, description="Of the issue or pull request.")
    year: int = Field(ge=1990, le=2100, strict=True, description="When it was reported.")
    link: str = Field(pattern=r"^https://", description="Where it stands.")
    symptom: str = Field(description="What the reporter saw, in one sentence.")
    cause: str = Field(description="Why it happens, in one or two sentences.")

    @property
    def name(self) -> str:
        """The name by which it is asked for: 'moby-9644'."""
        return f"{self.project.rpartition('/')[2]}-{self.number}"


class Failure(BaseModel):
    """What is expected to fail: at least one trial fails just these clauses or more, and no trial fails others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fails: tuple[Annotated[str, Field(pattern=r"^[A-Z]\d\d$")], ...] = Field(
        min_length=1, description="Clauses of which each fails in some trial."
    )
    may: tuple[Annotated[str, Field(pattern=r"^[A-Z]\d\d$")], ...] = Field(
        default=(), description="Clauses that may fail as well, for what the failure leads to."
    )
    says: str = Field(default="", description="A regular expression that a reason of one of these clauses holds.")

    def covers(self, result: TrialResult) -> bool:
        """Whether a trial fails in no other way than is expected."""
        return result.outcome == "diverged" and set(_failed(result)) <= {*self.fails, *self.may}

    @field_validator("says")
    @classmethod
    def _is_a_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"'says' is no regular expression: {error}") from None
        return value


def unmet(expected: "Failure | str", results: Sequence[TrialResult]) -> list[str]:
    """How the results of one scenario on one driver differ from what is expected of them, as sentences."""
    if not results:
        return ["no trial was run"]
    idle = [result for result in results if result.outcome in ("error", "not-fired")]
    found = [f"'{result.id}' ended {result.outcome}: {result.reason}" for result in idle[:1]]
    diverged = [result for result in results if result.outcome == "diverged"]
    if isinstance(expected, str):
        return found + [f"'{result.id}' was to converge, and diverged: {result.reason}" for result in diverged[:1]]
    failed = {clause for result in diverged for clause in _failed(result)}
    if missing := [clause for clause in expected.fails if clause not in failed]:
        found.append(f"no trial fails {', '.join(missing)}: the failure that was reported does not show")
    if others := sorted(failed - {*expected.fails, *expected.may}):
        found.append(f"{', '.join(others)} failed as well, which is not expected")
    reasons = [result.clause_reasons.get(clause, "") for result in diverged for clause in expected.fails]
    if not missing and expected.says and not any(re.search(expected.says, reason) for reason in reasons):
        found.append(f"no reason says '{expected.says}'")
    return found


def _failed(result: TrialResult) -> list[str]:
    return [clause for clause, status in result.clauses.items() if status == "fail"]


def of_run(
    expectations: Mapping[str, "Failure | str"], results: Sequence[TrialResult], judged: Sequence[TrialResult]
) -> tuple[list[str], list[TrialResult]]:
    """What is unmet of what is expected of this driver, and those of `judged` of which nothing is expected."""
    sentences = [
        f"{scenario}: {sentence}"
        for scenario, expected in expectations.items()
        for sentence in unmet(expected, [result for result in results if result.scenario == scenario])
    ]
    return sentences, [result for result in judged if result.scenario not in expectations]
