"""A campaign: plan the trials of some scenarios, run them, judge them, and say what happens as events.

It knows no pytest and no console: the command line and the pytest plugin are two faces over it.
"""

import contextlib
import functools
import gzip
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crashinit import plan
from crashinit.adapters import Adapter
from crashinit.adapters import load as load_adapter
from crashinit.adapters.expectation import expectation_of
from crashinit.contract.judge import judge, outcome, restarts
from crashinit.contract.observation import Evidence, OperationRecord
from crashinit.driven import trouble
from crashinit.errors import DriverError, UsageError
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
from crashinit.scenario import Scenario
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


def make_runner(driver: str, provider: str) -> TrialRunner:
    """A runner for this driver on this provider; module-level, so that a worker process can make its own."""
    return TrialRunner(get_provider(provider), load_adapter(driver))


def prepare(scenarios: Sequence[Scenario], driver: str, provider: str, out: Path, emit: Listener) -> Prepared:
    """Record one init without faults for each setup, derive the plan from it, and store both in the run's directory.

    Raises CrashinitError when a machine cannot be had, DriverError when the driver does not even start without a fault.
    """
    references: dict[Setup, Evidence] = {}
    trials: list[Trial] = []
    left_out: list[str] = []
    emit(Note("preparing a machine (the first time also its image, which takes about a minute)"))
    with make_runner(driver, provider) as runner:
        for scenario in scenarios:
            setup = plan.setup_of(scenario)
            if setup not in references:
                emit(Note(f"recording an init of '{driver}' without faults, on a {setup.given} root"))
                references[setup] = _reference(runner, setup)
            operations = references[setup].fault_run.operations
            trials += plan.trials(scenario, operations, driver)
            left_out += plan.left_out(scenario, operations)
        accel = runner.provider.accel
    out.mkdir(parents=True, exist_ok=True)
    plan.write(out / PLAN, trials)
    for number, (setup, evidence) in enumerate(references.items()):
        given = [setup.given, list(setup.options), setup.deadline]
        store(out, f"reference-{number}", evidence, setup=given, accel=accel)
    return Prepared(trials, references, accel, left_out)


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
    with make_runner(driver, provider) as runner:
        operations = _reference(runner, setup).fault_run.operations
    return list(zip(steps_of(operations), operations, strict=True))


def _reference(runner: TrialRunner, setup: Setup) -> Evidence:
    evidence, _ = runner.reference(setup)
    if said := trouble(evidence.fault_run, runner.adapter, setup):
        raise DriverError(f"without any fault, {said}")
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
    second_crashes: int = 0,
) -> list[Outcome]:
    """Run the trials of these scenarios whose id is selected; the outcomes of those that ended.

    `second_crashes`: of the re-inits of these trials, that many are crashed once more, spread over all boundaries.
    An interruption (KeyboardInterrupt) ends every machine, tells the listeners, and goes on to the caller.
    """
    prepared = prepare(scenarios, driver, provider, out, emit)
    chosen = [trial for trial in prepared.trials if select(trial.id)]
    dropped = len(prepared.trials) - len(chosen)
    if dropped:
        prepared.left_out.append(f"{dropped} of the plan's {len(prepared.trials)} trials: they were not selected")

    def more() -> tuple[list[Trial], list[str]]:
        every = [trial for first in prepared.trials for trial in _second_crashes(first, out)]
        sample = plan.spread(every, second_crashes)
        plan.write(out / PLAN, [*prepared.trials, *sample])
        left = len(every) - len(sample)
        said = [f"{left} of {len(every)} second crashes: a sample of {len(sample)} is spread over all"] if left else []
        return [trial for trial in sample if select(trial.id)], said

    return run_trials(prepared, chosen, driver, provider, out, workers, emit, more if second_crashes else None)


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
    make: Callable[[], TrialRunner] | None = None,
) -> list[Outcome]:
    """Run planned trials on this many workers and judge each as it ends.

    `more` is asked after them for trials that follow from them, and what of those is left out. `make` makes the
    runners; by default those for faults that strike the driver.
    """
    adapter = load_adapter(driver)
    outcomes: list[Outcome] = []
    begin = time.monotonic()
    interrupted = True

    def batch(trials: Sequence[Trial]) -> None:
        messages = run_groups(list(groups(trials)), make or functools.partial(make_runner, driver, provider), workers)
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
