"""The faults by name, and what each means for whoever plans, runs or judges. How they strike is in faults/."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FaultKind:
    """What is done at a boundary."""

    name: str
    kills: bool = False  # processes end there
    fails_a_call: bool = False  # a call returns an error and the init goes on: it owes an honest end
    cuts_power: bool = False  # memory is lost, and disks keep what they may: machines get disks, and real time
    is_a_race: bool = False  # two inits at once, neither of which was struck
    # Keys of a scenario that have no effect with it, and why. They are refused: a key without an effect would mislead.
    refuses: Mapping[str, str] = field(default_factory=dict)


KILL = FaultKind("kill", kills=True, refuses={"errnos": "a kill returns no error: 'errnos' goes with 'fault: errno'"})
ERRNO = FaultKind(
    "errno",
    fails_a_call=True,
    refuses={"victims": "an error strikes a call and not a process: it has no 'victims'"},
)
POWER_CUT = FaultKind(
    "power-cut",
    cuts_power=True,
    refuses={
        key: f"a power cut strikes the whole machine: it has no '{key}'" for key in ("victims", "errnos", "recovery")
    },
)
CONCURRENT = FaultKind("concurrent", is_a_race=True)
KINDS: Mapping[str, FaultKind] = {kind.name: kind for kind in (KILL, ERRNO, POWER_CUT, CONCURRENT)}


def kind_of(name: str) -> FaultKind:
    """The fault of that name; of one that a later version knows, a fault of which nothing is known."""
    return KINDS.get(name, FaultKind(name))
