"""What a clause says about a trial."""

from collections.abc import Sequence
from dataclasses import dataclass

from crashinit.events import ClauseStatus


@dataclass(frozen=True)
class Verdict:
    """One clause's status and, unless it passed, the sentence that says why.

    `unseen` marks a failure for want of a part that the campaign owes and the driver cannot take away:
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
        return cls("fail", "; ".join(findings)) if findings else cls("pass")


class Settled(Exception):  # noqa: N818 - a verdict reached early is no error
    """Raised while a clause gathers what it needs: its verdict is certain before it can judge."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict

    @classmethod
    def failed(cls, reason: str) -> "Settled":
        return cls(Verdict("fail", reason))

    @classmethod
    def unseen(cls, reason: str) -> "Settled":
        return cls(Verdict("fail", reason, unseen=True))

    @classmethod
    def not_applicable(cls, reason: str) -> "Settled":
        return cls(Verdict("n/a", reason))
