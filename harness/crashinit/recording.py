"""A recorded init: it goes forward only, and can be forked at each boundary where it is held."""

from typing import Any

from crashinit.contract.observation import OperationRecord
from crashinit.driven import GRACE
from crashinit.machine.protocol import Machine, Template
from crashinit.plan import Setup


class Recording:
    """One init without faults, held at a boundary, in a machine that can be forked there."""

    def __init__(self, machine: Machine, state: dict[str, Any], setup: Setup) -> None:
        self.machine = machine
        self.setup = setup
        self.state = state
        self._fork: tuple[str, Template] | None = None

    @property
    def operation(self) -> OperationRecord | None:
        """The operation before which the init is held; None when it has ended."""
        held = self.state["operation"]
        return OperationRecord.model_validate(held) if held else None

    def forward(self, stop: str) -> None:
        """Go on to the operation of that key, or to the end when it does not come."""
        self._drop_fork()
        self.state = self.machine.call(
            "gate_resume", timeout=self.setup.deadline + GRACE, gate=self.state["gate"], stop=stop
        )

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
