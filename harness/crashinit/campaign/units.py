"""What one worker gets at once: trials that share a recorded init and a fork of it, or may stand for each other."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from crashinit.model.fault import kind_of
from crashinit.model.observation import Evidence
from crashinit.model.trial import Setup, Trial
from crashinit.trial.same_state import versions

TOGETHER = 60  # trials that one worker gets at once, if no more share a held init
NOTHING: Mapping[Setup, Evidence] = MappingProxyType({})


def groups(trials: Sequence[Trial], references: Mapping[Setup, Evidence] = NOTHING) -> Iterator[list[Trial]]:
    """The trials in the order of their recorded inits; those that share a held init, and so a fork, together.

    With references also those whose boundaries have the same content between them (`same_state`), as many as one worker
    may well do: some of them may stand for others.
    """
    content = {setup: versions(evidence.fault_run.operations) for setup, evidence in references.items()}
    setups = list(dict.fromkeys(trial.setup for trial in trials))

    def order(trial: Trial) -> tuple[int, int, str, int]:
        earlier = trial.earlier
        return setups.index(trial.setup), earlier.n if earlier else 0, trial.victim if earlier else "", trial.point.n

    in_order = sorted(trials, key=order)
    unit: list[Trial] = []
    for _, held in itertools.groupby(in_order, key=_shared):
        group = list(held)
        if unit and (len(unit) >= TOGETHER or _content(unit[0], content) != _content(group[0], content)):
            yield unit
            unit = []
        unit += group
    if unit:
        yield unit


def _content(trial: Trial, content: Mapping[Setup, Mapping[int, int]]) -> object:
    """What trials have in common that may stand for each other, by the content at their boundaries."""
    known = content.get(trial.setup, {})
    if trial.earlier or kind_of(trial.fault).cuts_power or trial.point.n not in known:
        return _shared(trial)
    return trial.setup, known[trial.point.n]


def _shared(trial: Trial) -> object:
    if trial.earlier:
        return trial.setup, trial.earlier, trial.victim
    return trial.setup, trial.point.operation
