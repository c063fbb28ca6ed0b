"""The plan of a power-cut campaign: every crash state of a recorded init, each image once."""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from crashinit import campaign
from crashinit import plan as plans
from crashinit.adapters import load as load_adapter
from crashinit.campaign import PLAN, Prepared
from crashinit.contract.observation import Evidence
from crashinit.events import Listener, Note, Outcome
from crashinit.machine.provider import get_provider
from crashinit.plan import Point, Setup, Trial, slug
from crashinit.powercut.disk import Identity
from crashinit.powercut.layout import LAYOUTS, layout_of
from crashinit.powercut.record import RECORDINGS, Recorded
from crashinit.powercut.runner import THEN, PowerCutRunner, recording_name
from crashinit.powercut.states import CrashState, untold
from crashinit.trace import steps_of

SCENARIO = "explore/power-cut"
PER_FIRST = 8  # second power cuts that are tried in one recorded re-init
RESTARTS = 3  # re-inits that are tried before giving up


@dataclass(frozen=True)
class Distinct:
    """The crash states of a recording that have an image of their own, and how many share one of those."""

    states: list[CrashState]
    merged: int


def distinct(recorded: Recorded) -> Distinct:
    """Of the states with the same image, the first; what is owed after init has reported success is another matter."""
    identities = [Identity(base) for base in recorded.base()]
    reached = [0] * len(identities)
    seen: Counter[tuple[int, ...]] = Counter()
    states = []
    for state in recorded.states.values():
        numbers = []
        for disk, (identity, cut, log) in enumerate(zip(identities, state.cuts, recorded.logs, strict=True)):
            identity.add(entry for entry in log[reached[disk] : cut.prefix] if entry.changes)
            reached[disk] = cut.prefix  # states come in the order of the run, so that this never goes back
            numbers.append(identity.peek(cut.beyond(log)))
        image = (state.phase == "after", *numbers)
        seen[image] += 1
        if seen[image] == 1:
            states.append(state)
    return Distinct(states, sum(seen.values()) - len(seen))


def plan(
    recorded: Recorded, setup: Setup, driver: str, steps: Sequence[str] = (), first: Trial | None = None
) -> tuple[list[Trial], list[str]]:
    """A trial for each distinct crash state, and sentences on what is left out. `steps`: only these.

    With `first`, the recording is of the init after that trial's power cut, which a second one is to strike.
    """
    scenario = f"{SCENARIO}/{setup.given}"
    prefix = f"{first.id}/then" if first else scenario
    step_of = steps_of(recorded.operations)
    found = distinct(recorded)
    trials = []
    for state in found.states:
        operation = recorded.operations[state.operation]
        step = step_of[state.operation]
        if (not steps or step in steps) and not (first and state.phase == "after"):
            trials.append(
                Trial(
                    id=f"{prefix}/{slug(operation.key)}/{state.name}",
                    driver=driver,
                    scenario=scenario,
                    setup=setup,
                    point=Point(step, state.phase, operation.n, operation.key),
                    fault="power-cut",
                    victim="machine",
                    restarts=RESTARTS,
                    earlier=first.point if first else None,
                    state=f"{first.state}{THEN}{state.name}" if first else state.name,
                )
            )
    said = []
    if found.merged:
        said.append(f"{scenario}: {found.merged} crash states: their disks are the same as another state's, bit by bit")
    if steps and len(trials) < len(found.states):
        said.append(f"{scenario}: {len(found.states) - len(trials)} crash states outside the steps {', '.join(steps)}")
    if count := untold(recorded.logs, recorded.marks):
        said.append(f"{scenario}: {count} flushes during operations that used several disks, whose order is not known")
    return trials, said


def second_cuts(runner: PowerCutRunner, firsts: Sequence[Trial], budget: int) -> tuple[list[Trial], list[str]]:
    """Power cuts during the init after a power cut: a sample that is spread over all, the same one each time.

    Each of these inits is recorded, so that not every first state can have one.
    """
    every: list[Trial] = []
    chosen = plans.spread([first for first in firsts if first.point.phase != "after"], -(-budget // PER_FIRST))
    for first in chosen:
        recorded = runner.record_again(first)
        recorded.store(runner.out / RECORDINGS / recording_name(first.setup, first.point, first.state))
        every += plan(recorded, first.setup, first.driver, first=first)[0]
    sample = plans.spread(every, budget)
    left = f"{len(every) - len(sample)} of {len(every)} second power cuts in the re-inits of {len(chosen)} trials"
    return sample, [f"{left}, and those of the other {len(firsts) - len(chosen)}: a sample is spread over all"]


def setups(names: Sequence[str] = (), deadline: float = 60.0) -> list[Setup]:
    """The recorded inits that a campaign begins from: layouts by name, with or without '-populated'; by default all.

    Raises UsageError.
    """
    wanted = [Setup(name, (), deadline) for name in names or LAYOUTS]
    return [Setup(setup.given, layout_of(setup).options(), deadline) for setup in wanted]


def make_runner(driver: str, provider: str, out: Path) -> PowerCutRunner:
    """A runner over the recordings in `out`; module-level, so that a worker process can make its own."""
    return PowerCutRunner(get_provider(provider), load_adapter(driver), out)


def prepare(
    driver: str,
    provider: str,
    out: Path,
    emit: Listener,
    given: Sequence[Setup],
    steps: Sequence[str] = (),
    second: int = 0,
) -> Prepared:
    """Record one init for each setup, derive the plan from it, and store both in the run's directory.

    `second`: that many trials with a second power cut, during the init after the first.
    Raises CrashinitError when a machine cannot be had, or the driver does not even start without a fault.
    """
    references: dict[Setup, Evidence] = {}
    trials: list[Trial] = []
    left_out: list[str] = []
    emit(Note("preparing a machine (the first time also its image, which takes about a minute)"))
    with make_runner(driver, provider, out) as runner:
        for setup in given:
            emit(Note(f"recording an init of '{driver}' and what its disks are told: '{setup.given}'"))
            recorded, references[setup] = runner.record(setup)
            recorded.store(out / RECORDINGS / recording_name(setup))
            planned, said_of = plan(recorded, setup, driver, steps)
            trials += planned
            left_out += said_of
        if second:
            emit(Note("recording inits after a power cut, for second ones"))
            further, said_of = second_cuts(runner, trials, second)
            trials += further
            left_out += said_of
        accel = runner.provider.accel
    out.mkdir(parents=True, exist_ok=True)
    plans.write(out / PLAN, trials)
    for number, (setup, evidence) in enumerate(references.items()):
        as_json = [setup.given, list(setup.options), setup.deadline]
        campaign.store(out, f"reference-{number}", evidence, setup=as_json, accel=accel)
    return Prepared(trials, references, accel, left_out)


def run(
    driver: str,
    provider: str,
    out: Path,
    workers: int,
    select: Callable[[str], bool],
    emit: Listener,
    *,
    given: Sequence[str] = (),
    steps: Sequence[str] = (),
    deadline: float = 60.0,
    second: int = 0,
    resume: bool = False,
) -> list[Outcome]:
    """Cut the power at every moment of the driver's init, on each layout; the outcomes of the trials that ended.

    `given`: layouts as `setups` takes them; `second`: how many trials with a second power cut there are to be;
    `resume`: go on with the recordings and the plan in `out`.
    """
    if resume:
        prepared = campaign.read_prepared(out)
    else:
        prepared = prepare(driver, provider, out, emit, setups(given, deadline), steps, second)
    chosen = [trial for trial in prepared.trials if select(trial.id)]
    if dropped := len(prepared.trials) - len(chosen):
        prepared.left_out.append(f"{dropped} of the plan's {len(prepared.trials)} trials: they were not selected")
    make = functools.partial(make_runner, driver, provider, out)
    return campaign.run_trials(prepared, chosen, driver, provider, out, workers, emit, make=make)
