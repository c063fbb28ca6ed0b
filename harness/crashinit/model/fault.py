"""The faults by name, and what each means for whoever plans, runs or judges. How they strike is in faults/."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SUCCESS, MESSAGE, WORDS = "success", "message", "words"


@dataclass(frozen=True)
class FaultKind:
    """What is done at a boundary."""

    name: str
    kills: bool = False  # the init ends there, without a chance to do anything more
    fails_a_call: bool = False  # a call returns an error, and the message of an init that fails has to name that error
    goes_on: bool = False  # the init goes on after it: a success of that init counts, and its end has to be honest
    owes: str = (
        ""  # of an init that goes on: SUCCESS, or, if it fails, a MESSAGE that says where, or WORDS; "": nothing
    )
    dies_of: tuple[str, ...] = ()  # signals that such an init may end by
    may_time_out: bool = False  # such an init may still be there at its deadline
    cuts_power: bool = False  # memory is lost, and disks keep what they may: machines get disks, and real time
    on_a_disk: bool = False  # it strikes a disk of its own below the root's files, while the init goes on
    is_a_race: bool = False  # two inits at once, neither of which was struck
    # Keys of a scenario that have no effect with it, and why. They are refused: a key without an effect would mislead.
    refuses: Mapping[str, str] = field(default_factory=dict)


NO_ERROR = {"errnos": "'errnos' goes with 'fault: errno': no other fault returns an error"}
NO_TIME = {"seconds": "'seconds' goes with 'fault: supervisor', 'fault: stop' and 'fault: slow'"}

KILL = FaultKind(
    "kill", kills=True, refuses={"errnos": "a kill returns no error: 'errnos' goes with 'fault: errno'", **NO_TIME}
)
ERRNO = FaultKind(
    "errno",
    fails_a_call=True,
    goes_on=True,
    owes=MESSAGE,
    refuses={"victims": "an error strikes a call and not a process: it has no 'victims'", **NO_TIME},
)
TERM = FaultKind("term", goes_on=True, dies_of=("SIGTERM",), refuses={**NO_ERROR, **NO_TIME})
INT = FaultKind("int", goes_on=True, dies_of=("SIGINT",), refuses={**NO_ERROR, **NO_TIME})
SUPERVISOR = FaultKind("supervisor", goes_on=True, dies_of=("SIGTERM", "SIGKILL"), refuses=NO_ERROR)
CHILD = FaultKind(
    "child",
    goes_on=True,
    owes=MESSAGE,
    refuses={
        "victims": "'fault: child' kills the process that is about to act: it has no 'victims'",
        **NO_ERROR,
        **NO_TIME,
    },
)
STOP = FaultKind("stop", goes_on=True, owes=SUCCESS, refuses=NO_ERROR)
HANG = FaultKind(
    "hang",
    goes_on=True,
    owes=MESSAGE,
    may_time_out=True,
    refuses={"victims": "a call hangs, and not a process: 'fault: hang' has no 'victims'", **NO_ERROR, **NO_TIME},
)
ACTOR = FaultKind(
    "actor",
    goes_on=True,
    owes=MESSAGE,
    refuses={"victims": "an actor strikes nobody: 'fault: actor' has no 'victims'", **NO_ERROR, **NO_TIME},
)
NONE = FaultKind(
    "none",
    goes_on=True,
    owes=WORDS,
    refuses={
        **{
            key: f"'fault: none' strikes nothing: it has no '{key}'"
            for key in ("victims", "at", "step", "steps", "repeat")
        },
        **NO_ERROR,
        **NO_TIME,
    },
)
BAD_DISK = FaultKind(
    "bad-disk",
    goes_on=True,
    owes=WORDS,
    on_a_disk=True,
    refuses={"victims": "'fault: bad-disk' strikes a disk: it has no 'victims'", **NO_ERROR, **NO_TIME},
)
SLOW = FaultKind(
    "slow",
    goes_on=True,
    owes=WORDS,
    may_time_out=True,
    on_a_disk=True,
    refuses={"victims": "'fault: slow' strikes a disk: it has no 'victims'", **NO_ERROR},
)
POWER_CUT = FaultKind(
    "power-cut",
    cuts_power=True,
    refuses={
        key: f"a power cut strikes the whole machine: it has no '{key}'"
        for key in (
            "victims",
            "errnos",
            "recovery",
            "seconds",
            "actor",
            "release",
            "udev",
            "during",
            "surroundings",
            "repeat",
            "disk",
            "lasts",
        )
    },
)
CONCURRENT = FaultKind("concurrent", is_a_race=True)
STRUCK = (KILL, ERRNO, TERM, INT, SUPERVISOR, CHILD, STOP, HANG, ACTOR, NONE, BAD_DISK, SLOW, POWER_CUT)
KINDS: Mapping[str, FaultKind] = {kind.name: kind for kind in (*STRUCK, CONCURRENT)}

# Somebody else in the machine, who comes at the boundary; any other name is a command.
SECOND_INIT = "second-init"
HOLDERS = ("holder", "reader", "mount")  # of the driver's devices
OTHER_OWNER = "other-owner"
ACTORS = (*HOLDERS, SECOND_INIT, OTHER_OWNER)
# When udevd deals with its events, from the boundary on. The kinds of operations below make an event.
SETTLED, LATE, LOST, STOPPED = "settled", "late", "lost", "stopped"
MAKE_AN_EVENT = ("dm.create", "dm.resume", "dm.remove", "loop.configure", "loop.set-fd", "loop.clr-fd")
RELEASES = ("before", "during", "after", "never")  # the re-init


def kind_of(name: str) -> FaultKind:
    """The fault of that name; of one that a later version knows, a fault of which nothing is known."""
    return KINDS.get(name, FaultKind(name))
