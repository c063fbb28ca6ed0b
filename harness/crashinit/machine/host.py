"""testinfra's `host` over a machine, whatever carries the machine's commands."""

from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from crashinit.machine.protocol import Machine

TIMEOUT = 120.0  # seconds that one command of a test may take


class MachineBackend(BaseBackend):  # type: ignore[misc]  # testinfra ships no type information
    """Runs testinfra's commands through Machine.run."""

    NAME = "crashinit"

    def __init__(self, machine: Machine) -> None:
        super().__init__(hostname="machine")
        self._machine = machine

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """Run one shell command as root."""
        line = self.get_command(command, *args)
        done = self._machine.run("/bin/sh", "-c", line, timeout=TIMEOUT)
        return self.result(done.exit, line, done.stdout, done.stderr)


def host_of(machine: Machine) -> Host:
    """A testinfra host that is this machine."""
    return Host(MachineBackend(machine))
