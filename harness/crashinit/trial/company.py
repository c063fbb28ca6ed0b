"""What is beside the fault in a trial: somebody else in the machine, and a udevd that behaves otherwise."""

from typing import Any

from crashinit.adapters.beside import Beside
from crashinit.adapters.driven import GRACE, Driven
from crashinit.adapters.udev import Udev
from crashinit.model.fault import kind_of
from crashinit.model.observation import Run
from crashinit.model.trial import Trial


def gather(driven: Driven, gate: str, trial: Trial) -> None:
    """Whoever and whatever the trial asks for is there, while the init is held, before the fault strikes."""
    if trial.actor:
        driven.beside = Beside(driven, trial.actor, trial.release)
        driven.beside.come()
    if trial.udev:
        driven.udev = Udev(driven.machine, trial.udev)
        goes_on = kind_of(trial.fault).goes_on
        driven.udev.at_the_boundary(gate, trial.setup.deadline + GRACE, goes_on=goes_on)


def over(driven: Driven, trial: Trial) -> None:
    """The struck init has ended, and what was to be around it alone is so no longer.

    A file system that could not write its journal takes no writes until the machine is started anew.
    """
    if not trial.setup.lasting:
        driven.around.over()
    if driven.disk or (trial.setup.surroundings and not trial.setup.lasting):
        driven.machine.call("mark")  # what the kernel said of that is the fault's
    if trial.recovery == "reboot" or (driven.disk and not driven.disk.is_writable()):
        driven.reboot()


def second_run(driven: Driven) -> list[Run]:
    """The second init, if that is who came, once the first has gone on or is gone."""
    run = driven.beside.second_run() if driven.beside else None
    return [run] if run else []


def told(driven: Driven, trial: Trial) -> dict[str, Any]:
    """What the evidence keeps of it: what got nothing of what it wanted has not fired."""
    found: dict[str, Any] = {}
    if driven.beside:
        found["actor"] = driven.beside.record
        if not driven.beside.record.got:
            found["fired"] = None
    if driven.reached == 0:
        found["fired"] = None
    if driven.udev:
        found["udev"] = trial.udev
        if not driven.udev.fired:
            found["fired"] = None
    return found
