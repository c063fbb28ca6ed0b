"""When udevd deals with the events of a trial: from the boundary on late, not at all, without one of them, or at once.

Source: udevadm(8), `control --stop-exec-queue`: events are taken, and no rule runs until `--start-exec-queue`.
"""

from typing import Any

from crashinit.errors import GuestError
from crashinit.machine.protocol import Machine
from crashinit.model.fault import LATE, LOST, SETTLED

LATENESS = 1.0  # seconds
HOLD, GO_ON = "udevadm control --stop-exec-queue", "udevadm control --start-exec-queue"
# A new udevd knows nothing of what the old one had taken; one that was started by systemd comes back by itself.
FORGET = """
test -e /run/udev/queue || exit 3
pkill -KILL -x systemd-udevd; while pgrep -x systemd-udevd >/dev/null; do sleep 0.01; done
rm -f /run/udev/queue
if test -d /run/systemd/system; then systemctl restart systemd-udevd; else /lib/systemd/systemd-udevd --daemon; fi
udevadm control --ping
"""
NO_EVENT = 3  # exit status of FORGET: there was nothing to lose
SLOW = 60.0  # seconds that a new udevd may take to answer


class Udev:
    """One way in which udevd behaves, from the boundary to the end of the last re-init."""

    def __init__(self, machine: Machine, way: str) -> None:
        self._machine = machine
        self._way = way
        self.fired = True  # False: no event was there that could be lost

    @property
    def settles(self) -> bool:
        """Whether udevd is to be at rest before each operation of the inits to come."""
        return self._way == SETTLED

    def at_the_boundary(self, gate: str, timeout: float, *, goes_on: bool) -> None:
        """While the init is held, before the fault strikes."""
        if self.settles:
            self._shell("udevadm settle")
            return
        self._shell(HOLD)
        if self._way == LOST:
            self._lose_an_event(gate, timeout)
        elif self._way == LATE and goes_on:
            self._go_on_later()

    def _lose_an_event(self, gate: str, timeout: float) -> None:
        """The operation runs, and the event that it makes is lost; then the init is held again."""
        state: dict[str, Any] = self._machine.call("gate_resume", timeout=timeout, gate=gate, stop="every")
        done = self._machine.run("sh", "-c", FORGET, timeout=SLOW)
        self.fired = state["state"] == "stopped" and done.exit != NO_EVENT
        if done.exit not in (0, NO_EVENT):
            raise GuestError(f"udevd could not be started anew: {done.stderr.strip() or done.exit}")
        self._shell(GO_ON)

    def ahead_of_an_init(self) -> None:
        """The next init is about to begin."""
        if self._way == LATE:
            self._go_on_later()

    def over(self) -> None:
        """All inits have ended: whatever waits is dealt with now."""
        self._shell(GO_ON)

    def _go_on_later(self) -> None:
        self._shell(f"setsid sh -c 'sleep {LATENESS}; {GO_ON}' >/dev/null 2>&1 </dev/null &")

    def _shell(self, script: str) -> None:
        self._machine.run("sh", "-c", script).check()
