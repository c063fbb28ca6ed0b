"""What a clause says about a trial."""

from collections.abc import Sequence
from dataclasses import dataclass

from crashinit.model.events import ClauseStatus

SHOWN = 20  # findings that a reason lists


@dataclass(frozen=True)
class Verdict:
    """One clause's status and, unless it passed, the sentence that says why.

    `unseen` marks a failure for want of a part that the harness owes and the driver cannot take away:
    it is never a pass, but it is not the driver's fault either.
    """

    status: ClauseStatus
    reason: str = ""
    unseen: bool = False

    def __post_init__(self) -> None:
        if self.status != "pass" and not self.reason:
            raise ValueError(f"a verdict '{self.status}' needs a reason")

    @classmethod
    def of(cls, findings: Sequence[str]) -> "Verdict":
        """A pass if nothing was found, else a failure that lists the findings."""
        return cls("fail", listed(findings, SHOWN)) if findings else cls("pass")


def listed(findings: Sequence[object], most: int) -> str:
    """The first findings as one reason, and how many more there are: a driver may leave thousands of things behind."""
    more = len(findings) - most
    shown = "; ".join(str(finding) for finding in findings[:most])
    return f"{shown}; and {more} more" if more > 0 else shown


class EarlyVerdictError(Exception):
    """Ends a clause before it has all that it needs; the table in this package's docstring says how."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def verdict(self) -> Verdict:
        """What the clause says."""
        raise NotImplementedError


class BrokenStateError(EarlyVerdictError):
    """The state is so broken that the clause fails without a further look."""

    @property
    def verdict(self) -> Verdict:
        return Verdict("fail", self.reason)


class NotSeenError(EarlyVerdictError):
    """The harness did not supply what the clause needs: never a pass, and never the driver's failure."""

    @property
    def verdict(self) -> Verdict:
        return Verdict("fail", self.reason, unseen=True)


class NotApplicableError(EarlyVerdictError):
    """The clause asks for something that this trial, or this driver, does not have."""

    @property
    def verdict(self) -> Verdict:
        return Verdict("n/a", self.reason)
