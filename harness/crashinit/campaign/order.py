"""Which trials come first when there is no time for all: those that are likely to tell something new.

1. of each place in the init (step, operation without counters) one trial of each fault;
2. of each such place one of each victim and error;
3. of these one for each operation that comes next: the last write of a row is not like those before it;
4. all others, spread: the middle, then the quarters, and so on, so that wherever the time ends no part of the init is
   left out more than another.

Within 1, 2 and 3 trials stand in the order of the recorded inits, so that one of these serves many of them; in 4 what
shares a recorded init, or may stand for one another, stays together. The same trials have the same order each time.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import pairwise

from crashinit.campaign.units import NOTHING, groups
from crashinit.model.observation import Evidence
from crashinit.model.operations import uncounted
from crashinit.model.trial import Setup, Trial

Unit = list[Trial]


def by_what_they_tell(trials: Sequence[Trial], references: Mapping[Setup, Evidence] = NOTHING) -> list[Unit]:
    """The trials as units for workers, in this order."""
    following = {setup: _following(evidence) for setup, evidence in references.items()}

    def one_end(trial: Trial) -> Hashable:
        return _one_way(trial), following.get(trial.setup, {}).get(trial.point.operation)

    units: list[Unit] = []
    done: list[Trial] = []
    for alike in (_one_place_and_fault, _one_way, one_end):
        covered = {alike(trial) for trial in done}
        chosen = _one_of_each([trial for trial in trials if alike(trial) not in covered], alike)
        units += [[trial] for group in groups(chosen) for trial in group]
        done += chosen
    taken = {trial.id for trial in done}
    rest = [trial for trial in trials if trial.id not in taken]
    return units + list(scattered(list(groups(rest, references))))


def _following(reference: Evidence) -> dict[str, str]:
    """For each operation of an init the one that comes next, without its counter."""
    keys = [operation.key for operation in reference.fault_run.operations]
    return {key: uncounted(later) for key, later in pairwise(keys)}


def _one_place_and_fault(trial: Trial) -> Hashable:
    return trial.setup, trial.point.step, uncounted(trial.point.operation), trial.fault


def _one_way(trial: Trial) -> Hashable:
    return _one_place_and_fault(trial), trial.victim, trial.error


def _one_of_each(trials: Sequence[Trial], alike: Callable[[Trial], Hashable]) -> list[Trial]:
    """Of those that are alike the one in the middle: at its ends a row of writes is like what lies beside it."""
    found: dict[Hashable, list[Trial]] = {}
    for trial in trials:
        found.setdefault(alike(trial), []).append(trial)
    return [group[len(group) // 2] for group in found.values()]


def scattered(units: Sequence[Unit]) -> Iterator[Unit]:
    """All of them: the middle one, then those in the middle of both halves, and so on."""
    bits = len(units).bit_length()
    for number in range(1 << bits):
        index = int(f"{number:0{bits}b}"[::-1], 2) if bits else 0
        if index < len(units):
            yield units[index]
