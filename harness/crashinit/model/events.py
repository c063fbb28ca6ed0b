"""What a campaign tells its listeners: the only thing that reports are made from."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

Outcome = Literal["converged", "diverged", "not-fired", "error"]
ClauseStatus = Literal["pass", "fail", "n/a"]
CONFIRM = 2  # more tries of a trial that diverged, unless another number is asked for
OUTCOMES: tuple[Outcome, ...] = ("converged", "diverged", "not-fired", "error")


class Try(TypedDict):
    """How one of several tries of a trial ended."""

    outcome: Outcome
    failed: list[str]  # the clauses that failed
    restarts: int
    reason: str
    seed: NotRequired[int]  # of its machines, where they repeat themselves


@dataclass(frozen=True)
class TrialResult:
    """One line of results.jsonl. `seconds` maps a part of the trial to its duration on the host.

    Its `guest_clock` is how long the fault and all that followed took by the machine's own clock.
    """

    id: str
    driver: str
    scenario: str
    step: str
    phase: str  # "before", "during", "after"
    fault: str  # "kill", "errno", "power-cut"
    victim: str  # "process", "tree"
    boundary: int  # ordinal of the operation in the trace, 1-based
    operation: str  # its key
    outcome: Outcome
    restarts: int  # inits that were needed after the fault
    seconds: dict[str, float]
    clauses: dict[str, ClauseStatus]
    clause_reasons: dict[str, str]  # why, for each clause that failed or could not be judged
    reason: str  # one sentence, empty when converged
    replay: str  # the command that does this trial again; in results.jsonl with the run that planned it
    recovered: bool | None = None  # whether some init succeeded after the fault; None: not recorded
    guest: str = ""  # what its machine ran, see docs/guests.md; "": not recorded
    time: str = ""  # what its machine's clock followed: "real" or "virtual"; "": not recorded
    same_as: str = ""  # the trial that stands for this one, because its fault was the very same; "": it ran itself
    same_state_as: str = ""  # the trial whose fault left the same state, so that what follows was run once; "": none
    seen: str = ""  # in how many of its tries it ended so: "2 of 3"; "": it was tried once
    race: bool = False  # whether its tries ended differently
    tries: list[Try] = field(default_factory=list)  # in their order, if there were several
    seed: int | None = None  # with which it ends so each time; None: its machines do not repeat themselves
    seed_passes: int | None = None  # of one that diverged: a seed with which it converged; None: none is known

    def as_json(self) -> dict[str, Any]:
        """The object as results.jsonl holds it."""
        return asdict(self)


@dataclass(frozen=True)
class Note:
    """Something worth a line while the run prepares: 'building the image, about a minute'."""

    text: str


@dataclass(frozen=True)
class RunStarted:
    driver: str
    provider: str
    accel: str
    trials: list[str]  # ids, in the plan's order
    left_out: list[str] = field(default_factory=list)  # sentences: what is not tried, and why
    narrowed: bool = False  # whether only a part of what there is was asked for
    select: str = ""  # the expression of '-k' that chose them
    time: str = ""  # what the machines' clocks follow: "real", "virtual", or "mixed"; "": not recorded
    guest: str = ""  # what the machines run; "": not recorded
    kernel: str = ""  # the release of its kernel; "": not recorded
    shard: str = ""  # which share of the plan it is, "2/5"; "": the whole


@dataclass(frozen=True)
class RunExtended:
    """The run goes on with trials that follow from those before."""

    trials: list[str]
    left_out: list[str]


@dataclass(frozen=True)
class RunShortened:
    """The time is over: these trials will not be run in it."""

    trials: list[str]
    left_out: list[str]


@dataclass(frozen=True)
class TrialStarted:
    id: str
    worker: int


@dataclass(frozen=True)
class TrialFinished:
    result: TrialResult


@dataclass(frozen=True)
class TrialConfirmed:
    """A trial that has ended was tried again; this result takes the place of the one before."""

    result: TrialResult


@dataclass(frozen=True)
class RunFinished:
    seconds: float
    interrupted: bool


Event = Note | RunStarted | RunExtended | RunShortened | TrialStarted | TrialFinished | TrialConfirmed | RunFinished
Listener = Callable[[Event], None]
