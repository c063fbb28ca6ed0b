"""Trials whose faults are the very same: one of them is run, and stands for the others."""

from crashinit.faults import FAULTS
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.trial.recording import Recording


class SameFault:
    """What was done at the last boundary, and whose evidence is another trial's as well.

    At one boundary a driver is killed alone (`process`), and with all its children (`tree`). While it has no child the
    two do the same. The first is run, and `remember` keeps what came of it; of the second `find` gives that evidence,
    with its own id and `same_as` the first. In the same way an error that strikes once stands for one that lasts, if
    the call never comes again.
    """

    def __init__(self) -> None:
        self._place: object = None
        self._done: dict[tuple[str, str, int | None], Evidence] = {}  # by victim, error and seed

    def find(self, trial: Trial, recording: Recording) -> Evidence | None:
        """The evidence of an earlier trial at this boundary, if its fault was this very one."""
        if self._place != _place(trial):
            return None
        for (victim, error, seed), evidence in self._done.items():
            if (error, seed) != (trial.error, trial.seed) or evidence.trial == trial.id or evidence.fired is None:
                continue
            alike = FAULTS[trial.fault].is_same(evidence, alone=recording.alone)
            if victim == trial.victim or alike:
                return evidence.model_copy(update={"trial": trial.id, "same_as": evidence.trial, "same_state_as": ""})
        return None

    def remember(self, trial: Trial, evidence: Evidence) -> None:
        """Keep what came of a trial, for those that follow at its boundary."""
        if self._place != _place(trial):
            self._place, self._done = _place(trial), {}
        if not evidence.same_as:
            self._done[trial.victim, trial.error, trial.seed] = evidence


def _place(trial: Trial) -> object:
    """What is the same for all trials at one boundary that strike in one way, but for victim and error."""
    earlier = (trial.earlier.operation, trial.victim) if trial.earlier else None
    how = (
        trial.fault,
        trial.seconds,
        trial.actor,
        trial.release,
        trial.udev,
        trial.recovery,
        trial.restarts,
        trial.repeat,
    )
    return trial.setup, trial.point.operation, earlier, *how
