"""A campaign: plan the trials of some scenarios, run them, judge them, and say what happens as events.

It knows no pytest and no console: the command line and the pytest plugin are two faces over it.
"""

import contextlib
import functools
import gzip
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from crashinit import plan
from crashinit.adapters import Adapter
from crashinit.adapters import load as load_adapter
from crashinit.adapters.expectation import expectation_of
from crashinit.contract.judge import judge, outcome, restarts
from crashinit.contract.observation import Evidence, OperationRecord
from crashinit.driven import trouble
from crashinit.errors import CrashinitError, UsageError
from crashinit.events import (
    ClauseStatus,
    Listener,
    Note,
    Outcome,
    RunExtended,
    RunFinished,
    RunStarted,
    TrialFinished,
    TrialResult,
    TrialStarted,
)
from crashinit.machine.provider import get_provider
from crashinit.plan import Setup, Trial
from crashinit.powercut import plan as power_cuts
from crashinit.powercut.record import RECORDINGS, Recorded
from crashinit.powercut.runner import PowerCutRunner, recording_name
from crashinit.scenario import POWER_CUT, Scenario
from crashinit.trace import steps_of
from crashinit.trial import TrialRunner
from crashinit.workers import Begun, Done, Failed, attempt, run_groups

PLAN = "plan.json"
EVIDENCE = "evidence"  # below the run's directory: one gzipped JSON file a trial, and one a reference


@dataclass(frozen=True)
class Prepared:
    """A plan with what its trials are judged against."""

    trials: list[Trial]
    references: dict[Setup, Evidence]
    accel: str
    left_out: list[str]  # sentences: what the plan does not try, and why


def make_runner(driver: str, provider: str, out: Path) -> PowerCutRunner:
    """A runner for every fault, over the recordings in a run's directory, on this driver and provider.

    Module-level, so that a worker process can make its own.
    """
    return PowerCutRunner(get_provider(provider), load_adapter(driver), out)


def prepare(scenarios: Sequence[Scenario], driver: str, provider: str, out: Path, emit: Listener) -> Prepared:
    """Record one init without faults for each setup, derive the plan from it, and store both in the run's directory.

    Raises CrashinitError when a machine cannot be had, or the driver does not even start without a fault.
    """
    references: dict[Setup, Evidence] = {}
    recorded: dict[Setup, Recorded] = {}
    trials: list[Trial] = []
    left_out: list[str] = []
    emit(Note("preparing a machine (the first time also its image, which takes about a minute)"))
    with make_runner(driver, provider, out) as runner:
        for scenario in scenarios:
            if scenario.fault == POWER_CUT:
                setup = power_cuts.setup_of(scenario)
                if setup not in recorded:
                    emit(Note(f"recording an init of '{driver}' and what its disks are told: '{setup.given}'"))
                    recorded[setup], references[setup] = runner.record(setup)
                    recorded[setup].store(out / RECORDINGS / recording_name(setup))
                planned, said = power_cuts.trials(scenario, recorded[setup], driver)
            else:
                setup = plan.setup_of(scenario)
                if setup not in references:
                    emit(Note(f"recording an init of '{driver}' without faults, on a {setup.given} root"))
                    references[setup] = _reference(runner, setup)
                operations = references[setup].fault_run.operations
                planned, said = plan.trials(scenario, operations, driver), plan.left_out(scenario, operations)
                if scenario.step == "all":
                    said += _no_boundary_is_left(runner, scenario, setup, len(operations), emit)
            trials += planned
            left_out += said
        accel = runner.provider.accel
    out.mkdir(parents=True, exist_ok=True)
    plan.write(out / PLAN, trials)
    for number, (setup, evidence) in enumerate(references.items()):
        given = [setup.given, list(setup.options), setup.deadline]
        store(out, f"reference-{number}", evidence, setup=given, accel=accel)
    return Prepared(trials, references, accel, left_out)


def _no_boundary_is_left(
    runner: TrialRunner, scenario: Scenario, setup: Setup, count: int, emit: Listener
) -> list[str]:
    """The proof that an exploration is complete: a fault one boundary further does not fire, since the init has ended.

    Where it would, that is said: the driver's inits differ from one another.
    """
    further = runner.beyond(setup, count)
    if further:
        return [f"{scenario.name}: '{further.key}', which one init came to and the one that was planned from did not"]
    emit(Note(f"{scenario.name}: {count} boundaries; an init that was to be struck at one more ended without it"))
    return []


def read_prepared(out: Path) -> Prepared:
    """What `prepare` stored in a run's directory. Raises UsageError when there is none."""
    trials = plan.read(out / PLAN)
    references: dict[Setup, Evidence] = {}
    accel = ""
    for path in sorted((out / EVIDENCE).glob("reference-*.json.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            data = json.load(file)
        given, options, deadline = data["setup"]
        references[Setup(given, tuple(options), deadline)] = Evidence.model_validate(data["evidence"])
        accel = data["accel"]
    missing = {trial.setup for trial in trials} - set(references)
    if missing:
        raise UsageError(f"'{out / EVIDENCE}' lacks the reference that its plan needs: run the scenarios again.")
    return Prepared(trials, references, accel, [])


def trace(driver: str, provider: str, setup: Setup, emit: Listener) -> list[tuple[str, OperationRecord]]:
    """The operations of one init without faults, each with its step."""
    emit(Note("preparing a machine (the first time also its image, which takes about a minute)"))
    with TrialRunner(get_provider(provider), load_adapter(driver)) as runner:
        operations = _reference(runner, setup).fault_run.operations
    return list(zip(steps_of(operations), operations, strict=True))


def _reference(runner: TrialRunner, setup: Setup) -> Evidence:
    evidence, _ = runner.reference(setup)
    if said := trouble(evidence.fault_run, runner.adapter, setup):
        raise CrashinitError(f"without any fault, {said}")
    return evidence


def run(
    scenarios: Sequence[Scenario],
    driver: str,
    provider: str,
    out: Path,
    workers: int,
    select: Callable[[str], bool],
    emit: Listener,
    *,
    second: int = 0,
    done: Set[str] | None = None,
) -> list[Outcome]:
    """Run the trials of these scenarios whose id is selected; the outcomes of those that ended.

    `second`: of the re-inits of these trials, that many are struck once more, spread over all. `done`: the run in `out`
    is gone on with, by its plan, and these of its trials have ended.
    An interruption (KeyboardInterrupt) ends every machine, tells the listeners, and goes on to the caller.
    """
    prepared = prepare(scenarios, driver, provider, out, emit) if done is None else _planned(scenarios, out)
    first = [trial for trial in prepared.trials if not trial.earlier]
    chosen = [trial for trial in first if select(trial.id)]
    if dropped := len(first) - len(chosen):
        prepared.left_out.append(f"{dropped} of the plan's {len(first)} trials: they were not selected")

    def left(trials: Sequence[Trial]) -> list[Trial]:
        return [trial for trial in trials if trial.id not in (done or ())]

    def more() -> tuple[list[Trial], list[str]]:
        sample = [trial for trial in prepared.trials if trial.earlier]
        said: list[str] = []
        if not sample:
            emit(Note("looking for the boundaries of the inits that came after, to strike those as well"))
            sample, said = _second(chosen, driver, provider, out, second)
            plan.write(out / PLAN, [*prepared.trials, *sample])
        return left([trial for trial in sample if select(trial.id)]), said

    return run_trials(prepared, left(chosen), driver, provider, out, workers, emit, more if second else None)


def _planned(scenarios: Sequence[Scenario], out: Path) -> Prepared:
    """The plan of a run that was begun. Raises UsageError when it is not of these scenarios."""
    prepared = read_prepared(out)
    known = {trial.scenario for trial in prepared.trials}
    if other := {scenario.name for scenario in scenarios} ^ known:
        raise UsageError(
            f"'{out}' holds a run of other scenarios ('{sorted(other)[0]}' is in one of the two only): "
            "resume it with its own, or give another '--out'."
        )
    return prepared


def _second(
    trials: Sequence[Trial], driver: str, provider: str, out: Path, budget: int
) -> tuple[list[Trial], list[str]]:
    """Trials whose re-init is struck as well, within the budget, and what of them is left out."""
    if any(trial.state for trial in trials):
        with make_runner(driver, provider, out) as runner:
            return power_cuts.second_cuts(runner, trials, budget)
    every = [trial for first in trials for trial in _second_crashes(first, out)]
    sample = plan.spread(every, budget)
    left = len(every) - len(sample)
    return sample, [f"{left} of {len(every)} second crashes: a sample of {len(sample)} is spread over all"] * bool(left)


def _second_crashes(first: Trial, out: Path) -> list[Trial]:
    """The crashes of a trial's re-init; none when another trial stands for it, or it has none."""
    try:
        evidence = stored(out, first.id)
    except FileNotFoundError:
        return []
    if evidence.same_as or evidence.fired is None or not evidence.reinits:
        return []
    return plan.second_crashes(first, evidence.reinits[0].operations)


def run_trials(
    prepared: Prepared,
    trials: Sequence[Trial],
    driver: str,
    provider: str,
    out: Path,
    workers: int,
    emit: Listener,
    more: Callable[[], tuple[list[Trial], list[str]]] | None = None,
    recordings: Path | None = None,
) -> list[Outcome]:
    """Run planned trials on this many workers and judge each as it ends.

    `more` is asked after them for trials that follow from them, and what of those is left out. `recordings`: the
    directory of the run that planned them, if that is not `out`.
    """
    adapter = load_adapter(driver)
    outcomes: list[Outcome] = []
    begin = time.monotonic()
    interrupted = True

    def batch(trials: Sequence[Trial]) -> None:
        make = functools.partial(make_runner, driver, provider, recordings or out)
        messages = run_groups(list(groups(trials)), make, workers)
        with contextlib.closing(messages):
            for message in messages:
                if isinstance(message, Begun):
                    emit(TrialStarted(message.trial.id, message.worker))
                    continue
                result = _judged(message, prepared, adapter, out)
                outcomes.append(result.outcome)
                emit(TrialFinished(result))

    emit(RunStarted(driver, provider, prepared.accel, [trial.id for trial in trials], prepared.left_out))
    try:
        batch(trials)
        if more:
            further, left_out = more()
            emit(RunExtended([trial.id for trial in further], left_out))
            batch(further)
        interrupted = False
    finally:
        emit(RunFinished(time.monotonic() - begin, interrupted))
    return outcomes


def run_one(runner: TrialRunner, trial: Trial, prepared: Prepared, out: Path) -> TrialResult:
    """Run one trial in this process and judge it."""
    return _judged(attempt(runner, trial), prepared, runner.adapter, out)


def _judged(message: Done | Failed, prepared: Prepared, adapter: Adapter, out: Path) -> TrialResult:
    if isinstance(message, Failed):
        return failed(message.trial, message.reason)
    trial = message.trial
    store(out, trial.id, message.evidence)
    return result_of(trial, message.evidence, message.seconds, prepared.references[trial.setup], adapter)


def groups(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """The trials in the order of their recorded inits; those that share a held init, and so a fork, together."""
    setups = list(dict.fromkeys(trial.setup for trial in trials))

    def order(trial: Trial) -> tuple[int, int, str, int]:
        earlier = trial.earlier
        return setups.index(trial.setup), earlier.n if earlier else 0, trial.victim if earlier else "", trial.point.n

    for _, group in itertools.groupby(sorted(trials, key=order), key=_shared):
        yield list(group)


def _shared(trial: Trial) -> object:
    if trial.earlier:
        return trial.setup, trial.earlier, trial.victim
    return trial.setup, trial.point.operation


def result_of(
    trial: Trial, evidence: Evidence, seconds: dict[str, float], reference: Evidence, adapter: Adapter
) -> TrialResult:
    """Judge a trial's evidence by the contract."""
    verdicts = judge(evidence, reference, expectation_of(adapter, trial.setup.options, trial.setup.deadline))
    verdict, reason = outcome(verdicts, evidence)
    return _result(
        trial,
        verdict,
        reason,
        restarts=restarts(evidence),
        seconds={part: round(value, 3) for part, value in seconds.items()},
        clauses={clause: v.status for clause, v in verdicts.items()},
        clause_reasons={clause: v.reason for clause, v in verdicts.items() if v.reason},
        same_as=evidence.same_as,
    )


def failed(trial: Trial, reason: str) -> TrialResult:
    """The result of a trial that the harness itself could not finish."""
    return _result(trial, "error", reason)


def _result(
    trial: Trial,
    verdict: Outcome,
    reason: str,
    restarts: int = 0,
    seconds: dict[str, float] | None = None,
    clauses: dict[str, ClauseStatus] | None = None,
    clause_reasons: dict[str, str] | None = None,
    same_as: str = "",
) -> TrialResult:
    return TrialResult(
        id=trial.id,
        driver=trial.driver,
        scenario=trial.scenario,
        step=trial.point.step,
        phase=trial.point.phase,
        fault=trial.fault,
        victim=trial.victim,
        boundary=trial.point.n,
        operation=trial.point.operation,
        outcome=verdict,
        restarts=restarts,
        seconds=seconds or {},
        clauses=clauses or {},
        clause_reasons=clause_reasons or {},
        reason=reason,
        replay=f"crashinit replay {trial.id}",
        same_as=same_as,
    )


def store(out: Path, name: str, evidence: Evidence, **facts: object) -> None:
    """Keep evidence, so that the run can be judged again without a machine."""
    directory = out / EVIDENCE
    directory.mkdir(parents=True, exist_ok=True)
    with gzip.open(directory / f"{name.replace('/', '~')}.json.gz", "wt", encoding="utf-8", compresslevel=3) as file:
        json.dump({**facts, "evidence": evidence.model_dump()}, file)


def stored(out: Path, name: str) -> Evidence:
    """The evidence that `store` kept. Raises FileNotFoundError when there is none."""
    with gzip.open(out / EVIDENCE / f"{name.replace('/', '~')}.json.gz", "rt", encoding="utf-8") as file:
        return Evidence.model_validate(json.load(file)["evidence"])
