"""A recorded init: it goes forward only, and can be forked at each boundary where it is held."""

import itertools
from typing import Any

from crashinit.adapters import requests
from crashinit.adapters.driven import GRACE, Driven
from crashinit.machine.protocol import Machine, Template
from crashinit.model.observation import Observation, OperationRecord, Run
from crashinit.model.trial import INIT, Point, Setup

_NUMBERS = itertools.count(1)


class Recording:
    """One init held at a boundary, in a machine that can be forked there.

    `before`: what a used root looked like before it was shut down. `earlier`: the inits that were killed in this
    machine before. `seed`: the machine's, if it is not the run's.
    """

    def __init__(
        self,
        machine: Machine,
        state: dict[str, Any],
        setup: Setup,
        before: Observation | None = None,
        earlier: tuple[Run, ...] = (),
        *,
        everywhere: bool = False,
        seed: int | None = None,
    ) -> None:
        """`everywhere`: on its way it is held at each boundary; see `begin`."""
        self.machine = machine
        self.setup = setup
        self.state = state
        self.before = before
        self.earlier = earlier
        self._everywhere = everywhere
        self.seed = seed
        self.number = next(_NUMBERS)  # no other one of this process has it
        self._fork: tuple[str, Template] | None = None

    @property
    def operation(self) -> OperationRecord | None:
        """The operation before which the init is held; None when it has ended."""
        held = self.state["operation"]
        return OperationRecord.model_validate(held) if held else None

    @property
    def alone(self) -> bool:
        """Whether the driver has no process but its first, so that to kill it and to kill its tree are the same."""
        return bool(self.state["processes"] == 1)

    def holds(self, point: Point) -> bool:
        """Whether the init is held at this boundary."""
        held = self.operation
        return held is not None and held.key == point.operation

    def reach(self, point: Point) -> bool:
        """Go on to a boundary unless it is behind; whether the init is held there now."""
        held = self.operation
        if held and held.key != point.operation and held.n < point.n:
            self._drop_fork()
            self.state = _resumed(self.machine, self.state, self.setup, point.operation, everywhere=self._everywhere)
        return self.holds(point)

    def fork(self) -> Template:
        """A template of this very moment; kept until the recording moves on."""
        key = self.operation.key if self.operation else ""
        if self._fork is None or self._fork[0] != key:
            self._drop_fork()
            self._fork = (key, self.machine.fork())
        return self._fork[1]

    def close(self) -> None:
        """End the machine."""
        self._drop_fork()
        self.machine.close()

    def _drop_fork(self) -> None:
        if self._fork:
            self._fork[1].close()
            self._fork = None


def begin(driven: Driven, stop: str | int, *, reads: bool, everywhere: bool) -> dict[str, Any]:
    """Start an init, or what else is to be struck; the gate's state when it is held at `stop`, has ended, or is ready.

    A hold takes some of the machine's own time. With `everywhere` the init is held at each boundary on its way, by the
    same calls, whether anybody has use for that one or not: so what is seen at a boundary does not hang on that.
    """
    asked = "every" if everywhere else stop
    driven.around.begin()
    is_init = driven.setup.during == INIT
    state = driven.begin_init(asked, reads=reads) if is_init else requests.begin(driven, asked, reads=reads)
    if everywhere and not _is_there(state, stop):
        state = _resumed(driven.machine, state, driven.setup, stop, everywhere=True)
    return state


def _resumed(
    machine: Machine, state: dict[str, Any], setup: Setup, stop: str | int, *, everywhere: bool
) -> dict[str, Any]:
    """Let the operation run that is held, and go on to `stop`."""
    call = {"gate": state["gate"], "stop": "every" if everywhere else stop}
    while True:
        state = machine.call("gate_resume", timeout=setup.deadline + GRACE, **call)
        if not everywhere or _is_there(state, stop):
            return state


def _is_there(state: dict[str, Any], stop: str | int) -> bool:
    """Whether an init that is held everywhere goes on no further."""
    held = state["operation"]
    return held is None or stop in (held["n"], held["key"])
