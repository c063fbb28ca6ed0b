"""Which trials come first when there is no time for all: those that are likely to tell something new.

1. of each place in the init (step, operation without counters) one trial of each fault;
2. of each such place one of each victim and error;
3. all others, spread: the middle, then the quarters, and so on, so that wherever the time ends no part of the init is
   left out more than another.

Within 1 and 2 trials stand in the order of the recorded inits, so that one of these serves many of them; in 3 what
shares a recorded init, or may stand for one another, stays together. The same trials have the same order each time.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

from crashinit.campaign.units import NOTHING, groups
from crashinit.model.observation import Evidence
from crashinit.model.operations import uncounted
from crashinit.model.trial import Setup, Trial

Unit = list[Trial]


def by_what_they_tell(trials: Sequence[Trial], references: Mapping[Setup, Evidence] = NOTHING) -> list[Unit]:
    """The trials as units for workers, in this order."""
    first = _one_of_each(trials, _one_place_and_fault)
    covered = {_one_way(trial) for trial in first}
    second = _one_of_each([trial for trial in trials if _one_way(trial) not in covered], _one_way)
    units = [[trial] for chosen in (first, second) for group in groups(chosen) for trial in group]
    done = {trial.id for trial in (*first, *second)}
    rest = [trial for trial in trials if trial.id not in done]
    return units + list(scattered(list(groups(rest, references))))


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
