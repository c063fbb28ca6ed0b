"""Where a gated run is:

    RUNNING ---an operation to stop at---> HELD ---the agent decides---> ANSWERED ---the kernel is told---> RUNNING
    RUNNING ---a daemon's condition is met---> READY ---its process ends---> ENDED
    RUNNING ---the command ends, or hangs in the kernel although it was killed---> ENDED
    each    ---the gate itself has an error---> FAILED

The command may end while a call of one of its children is held: then the state stays HELD until that is answered.
"""

from dataclasses import dataclass
from enum import Enum, auto

from . import seccomp


class State(Enum):
    """Where a run is; see the module."""

    RUNNING = auto()
    HELD = auto()
    ANSWERED = auto()
    READY = auto()
    ENDED = auto()
    FAILED = auto()


@dataclass
class Held:
    """The call that waits for a decision: the errno to fail with, 0 to let it run, None while it is not taken."""

    call: seccomp.Notification
    decision: int | None = None
