"""The provider 'qemu-cold': every machine is booted, and none is ever frozen, cloned or forked.

It is slow, and owes nothing to the techniques that make the others fast: what a trial finds under it is no artefact
of a clone or a fork.
"""

from collections.abc import Callable
from typing import Self

from crashinit.machine.protocol import Machine
from crashinit.machine.provider import QemuProvider


class ColdProvider(QemuProvider):
    """Machines under QEMU, each booted from cold."""

    name = "qemu-cold"
    forks = False

    def template(self, packages: tuple[str, ...] = ()) -> "ColdTemplate":  # type: ignore[override]
        """See machine/protocol.py; its machines are booted one by one."""
        return ColdTemplate(lambda: self.boot(packages))


class ColdTemplate:
    """How a machine is made: booted, then prepared."""

    def __init__(self, make: Callable[[], Machine]) -> None:
        self._make = make

    def clone(self, *, forkable: bool = False, seed: int | None = None) -> Machine:
        """A machine, booted now."""
        return self._make()

    def derive(self, prepare: Callable[[Machine], None]) -> "ColdTemplate":
        """Machines that are prepared by this function after they were booted."""

        def make() -> Machine:
            machine = self._make()
            try:
                prepare(machine)
            except BaseException:
                machine.close()
                raise
            return machine

        return ColdTemplate(make)

    def close(self) -> None:
        """There is nothing to free."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
