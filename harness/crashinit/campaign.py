"""A campaign: plan the trials of some scenarios, run them, judge them, and say what happens as events.

It knows no pytest and no console: the command line and the pytest plugin are two faces over it.
"""

import contextlib
import functools
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from types import MappingProxyType

from crashinit import plan
from crashinit.adapters import Adapter
from crashinit.adapters import load as load_adapter
from crashinit.contract.observation import Evidence, OperationRecord
from crashinit.errors import HostError, NothingRanError, UsageError
from crashinit.events import (
    Listener,
    Note,
    Outcome,
    RunExtended,
    RunFinished,
    RunStarted,
    TrialConfirmed,
    TrialFinished,
    TrialResult,
    TrialStarted,
)
from crashinit.kept import PLAN, Prepared, adapter_digest, read_prepared, store, store_error, stored
from crashinit.machine.provider import get_provider
from crashinit.plan import Setup, Trial
from crashinit.powercut import plan as power_cuts
from crashinit.powercut.record import LoggedInit
from crashinit.powercut.runner import PowerCutRunner, recording_name
from crashinit.reference import init_without_faults, refuse_unsound
from crashinit.result import failed, result_of
from crashinit.same_state import difference, is_sampled, sample, unmerged
from crashinit.scenario import POWER_CUT, Scenario
from crashinit.trace import steps_of
from crashinit.trial import TrialRunner
from crashinit.tries import (
    JUDGED,
    OFTEN,
    HowOften,
    Tries,
    by_itself,
    carried,
    further,
    shared,
    shared_results,
    stands_for,
    under,
)
from crashinit.units import groups
from crashinit.workers import Begun, Done, Failed, attempt, run_groups

# Why power cuts are not in virtual time
IN_REAL_TIME = "the disks that lose power answer when the host comes to it, so these trials are in real time"


def make_runner(
    driver: str, provider: str, out: Path, emit: Listener = lambda event: None, *, merges: bool = True
) -> PowerCutRunner:
    """A runner for every fault, over the recordings in a run's directory, on this driver and provider.

    Module-level, so that a worker process can make its own. What takes long, such as an image, is told as notes.
    """
    noted = get_provider(provider, note=lambda text: emit(Note(text)))
    return PowerCutRunner(noted, load_adapter(driver), out, merges=merges)


def prepare(scenarios: Sequence[Scenario], driver: str, provider: str, out: Path, emit: Listener) -> Prepared:
    """Record one init without faults for each setup, and derive the plan from it. Nothing is stored yet.

    Raises CrashinitError when a machine cannot be had or an init without faults could not be observed, DriverError when
    the driver breaks the contract without any fault.
    """
    references: dict[Setup, Evidence] = {}
    recorded: dict[Setup, LoggedInit] = {}
    trials: list[Trial] = []
    left_out: list[str] = []
    with make_runner(driver, provider, out, emit) as runner:
        cuts = [scenario for scenario in scenarios if scenario.fault == POWER_CUT]
        if cuts and runner.plugging is None:
            raise UsageError(f"the provider '{provider}' cannot plug disks in: cut the power with '--provider qemu'.")
        if cuts and runner.plugging is not runner.provider:
            left_out.append(f"virtual time for power cuts: {IN_REAL_TIME}")
        if len(cuts) < len(scenarios):
            runner.driver_template()
        for scenario in scenarios:
            if scenario.fault == POWER_CUT:
                setup = power_cuts.setup_of(scenario)
                if setup not in recorded:
                    emit(
                        Note(
                            f"recording an init of '{runner.adapter.name}' and what its disks are told: '{setup.given}'"
                        )
                    )
                    recorded[setup], references[setup] = runner.record(setup)
                    refuse_unsound(references[setup], runner.adapter, setup)
                planned, said = power_cuts.trials(scenario, recorded[setup], driver)
            else:
                setup = plan.setup_of(scenario)
                if setup not in references:
                    emit(Note(f"recording an init of '{runner.adapter.name}' without faults, on a {setup.given} root"))
                    references[setup] = init_without_faults(runner, setup)
                    refuse_unsound(references[setup], runner.adapter, setup)
                operations = references[setup].fault_run.operations
                planned, said = plan.trials(scenario, operations, driver), plan.left_out(scenario, operations)
                if scenario.step == "all":
                    said += _no_boundary_is_left(runner, scenario, setup, len(operations), emit)
            absent = runner.adapter.absent.get(scenario.step or "")
            if absent and all(trial.point.n == 0 for trial in planned):
                planned, said = [], [f"{scenario.name}: no step '{scenario.step}': {absent}"]
            trials += planned
            left_out += said + plan.unseen(scenario, references[setup].fault_run)
        accel = runner.provider.accel
        adapter = runner.adapter
    plan.refuse_doubles(trials)
    recordings = {recording_name(setup): init for setup, init in recorded.items()}
    return Prepared(trials, references, accel, left_out, recordings, adapter.name, adapter_digest(adapter))


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


def trace(driver: str, provider: str, setup: Setup, emit: Listener) -> list[tuple[str, OperationRecord]]:
    """The operations of one init without faults, each with its step."""
    with TrialRunner(get_provider(provider, note=lambda text: emit(Note(text))), load_adapter(driver)) as runner:
        operations = init_without_faults(runner, setup).fault_run.operations
    return list(zip(steps_of(operations), operations, strict=True))


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
    earlier: Sequence[TrialResult] = (),
    often: HowOften = OFTEN,
    expression: str = "",
) -> list[Outcome]:
    """Run the trials of these scenarios whose id is selected; the outcomes of those that ended.

    `expression`: what `select` was made of, for reports.
    `second`: of the re-inits of these trials, that many are struck once more, spread over all. `done`: the run in `out`
    is gone on with, by its plan, and these of its trials have ended.
    An interruption (KeyboardInterrupt) ends every machine, tells the listeners, and goes on to the caller.
    """
    often.require(get_provider(provider))
    prepared = prepare(scenarios, driver, provider, out, emit) if done is None else _planned(scenarios, driver, out)
    first = [trial for trial in prepared.trials if not trial.earlier]
    chosen = [trial for trial in first if select(trial.id)]
    if dropped := len(first) - len(chosen):
        prepared.left_out.append(f"{dropped} of the plan's {len(first)} trials: they were not selected")

    if not chosen:
        raise NothingRanError(f"nothing ran: none of the plan's {len(first)} trials was selected.")
    if done is None:
        prepared.store(out)

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

    return run_trials(
        prepared,
        left(chosen),
        driver,
        provider,
        out,
        workers,
        emit,
        more if second else None,
        narrowed=bool(dropped) or any(scenario.steps for scenario in scenarios),
        earlier=[result for result in earlier if select(result.id)],
        often=often,
        expression=expression,
    )


def _planned(scenarios: Sequence[Scenario], driver: str, out: Path) -> Prepared:
    """The plan of a run that was begun. Raises UsageError when it is not of these scenarios, or of another adapter."""
    prepared = read_prepared(out)
    plan.refuse_empty(out / PLAN, prepared.trials)
    if prepared.adapter and prepared.adapter != adapter_digest(load_adapter(driver)):
        raise UsageError(
            f"'{out}' holds a run of '{prepared.driver}' by an adapter that said something else: "
            "run it anew with '--force', or give another '--out'."
        )
    known, asked = {trial.scenario for trial in prepared.trials}, {scenario.name for scenario in scenarios}
    if other := known - asked:
        raise UsageError(
            f"'{out}' holds a run of other scenarios, such as '{sorted(other)[0]}': "
            "resume it with its own, or give another '--out'."
        )
    # Of a step that the driver does not have there are no trials; a scenario that is new to this run has none either.
    prepared.left_out.extend(
        f"{name}: the run that is gone on with has no trial of it" for name in sorted(asked - known)
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
    if evidence.same_as or evidence.same_state_as or evidence.fired is None or not evidence.reinits:
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
    narrowed: bool = False,
    earlier: Sequence[TrialResult] = (),
    often: HowOften = OFTEN,
    expression: str = "",
) -> list[Outcome]:
    """Run planned trials on this many workers and judge each as it ends; then try those again that are to be.

    `more` is asked after them for trials that follow from them, and what of those is left out. `recordings`: the
    directory of the run that planned them, if that is not `out`. `narrowed`: they are not all that there is.
    `expression`: that of '-k' which chose them from the plan in `out`.
    `earlier`: results that a run begins with which is gone on with.
    """
    adapter, machines = load_adapter(driver), get_provider(provider)
    often.require(machines)
    results: dict[str, TrialResult] = {}
    begin = time.monotonic()
    interrupted = True

    def ended(units: Sequence[Sequence[Trial]], *, merges: bool = False) -> Iterator[Done | Failed]:
        make = functools.partial(make_runner, driver, provider, recordings or out, merges=merges)
        with contextlib.closing(run_groups(units, make, workers)) as messages:
            for message in messages:
                if isinstance(message, Begun):
                    emit(TrialStarted(message.trial.id, message.worker))
                else:
                    yield message

    def batch(trials: Sequence[Trial]) -> None:
        units = groups([under(trial, machines) for trial in trials], prepared.references if often.merge else {})
        for message in ended(list(units), merges=often.merge):
            result = _judged(message, prepared, adapter, out)
            results[result.id] = result
            emit(TrialFinished(result))

    def confirmed(result: TrialResult, known: dict[str, TrialResult]) -> None:
        """A result takes the place of the one before, for all that it stands for."""
        for one in list(shared_results(result, known, out)):
            known[one.id] = one
            if one.id in results:
                results[one.id] = one
            emit(TrialConfirmed(one))

    def check(known: dict[str, TrialResult], trials: Sequence[Trial]) -> None:
        """Run a sample of the trials that stand merged in full; where one comes out differently, all of them."""
        merged = {result.id: result for result in known.values() if result.same_state_as and result.outcome in JUDGED}
        chosen = set(sample((one.id, one.fault) for one in merged.values()))
        chosen |= {one.id for one in merged.values() if by_itself(one, known)}
        if chosen:
            emit(Note(f"running {len(chosen)} of the {len(merged)} trials in full that stand in the state of others"))
        wrong = in_full(known, merged, [trial for trial in trials if trial.id in chosen])
        if wrong:
            left = [trial for trial in trials if trial.id in merged and trial.id not in chosen]
            emit(RunExtended([], [f"{wrong}: trials in equal states are not alike here, and each was run in full"]))
            in_full(known, merged, left)

    def in_full(known: dict[str, TrialResult], merged: Mapping[str, TrialResult], trials: Sequence[Trial]) -> str:
        """Run trials that stood merged; one that came out differently, as half a sentence. "": none did."""
        said = ""
        for message in ended(list(groups([under(trial, machines) for trial in trials]))):
            result = _judged(message, prepared, adapter, out)
            if result.outcome != "error":
                said = said or difference(merged[result.id], result)
                confirmed(result, known)
        return said

    def again(known: dict[str, TrialResult], trials: Sequence[Trial]) -> None:
        units = often.units(groups(trials), known)
        waiting = Counter(trial.id for unit in units for trial in unit)
        if not units:
            return
        what = f"{len(waiting)} {'trial' if len(waiting) == 1 else 'trials'} again, {waiting.total()} tries"
        emit(Note(f"trying {what}: how often it comes"))
        tries = {trial: Tries(out, known[trial]) for trial in waiting}
        for message in ended(units):
            trial = message.trial.id
            evidence = message.evidence if isinstance(message, Done) else None
            tries[trial].add(_judged(message, prepared, adapter, out, first=False), evidence)
            waiting[trial] -= 1
            if not waiting[trial]:
                confirmed(tries[trial].result(), known)

    ids = [trial.id for trial in trials]
    left_out = prepared.left_out + (unmerged(prepared.references, trials) if often.merge else [])
    time_ = prepared.time(trials)
    emit(RunStarted(driver, provider, prepared.accel, ids, left_out, narrowed, expression, time_))
    try:
        batch(trials)
        further: list[Trial] = []
        if more:
            further, left_out = more()
            emit(RunExtended([trial.id for trial in further], left_out))
            batch(further)
        planned = list({trial.id: trial for trial in (*prepared.trials, *trials, *further)}.values())
        known = {**{result.id: result for result in earlier}, **results}
        check(known, planned)
        again(known, planned)
        interrupted = False
    finally:
        emit(RunFinished(time.monotonic() - begin, interrupted))
    return [result.outcome for result in results.values()]


def run_one(
    runner: TrialRunner,
    trial: Trial,
    prepared: Prepared,
    out: Path,
    often: HowOften = OFTEN,
    known: Mapping[str, TrialResult] = MappingProxyType({}),
) -> TrialResult:
    """Run one trial in this process and judge it, as often as is asked for. `known`: results of those before it."""
    trial = under(trial, runner.provider)
    runner.merges = often.merge
    first = _judged(attempt(runner, trial), prepared, runner.adapter, out)
    runner.merges = False
    checked = is_sampled(trial.id) or not any(one.same_state_as for one in known.values())
    if first.same_state_as and (checked or by_itself(first, known)):
        full = _judged(attempt(runner, trial), prepared, runner.adapter, out)
        if full.outcome in JUDGED and (wrong := difference(first, full)):
            said = f"{wrong}: trials in equal states are not alike here, so run them with merging off ('--no-merge')"
            return failed(trial, said)
        first = full if full.outcome in JUDGED else first
    if other := stands_for(first):
        return shared(first, known[other]) if other in known and not by_itself(first, known) else first
    tries = Tries(out, first)
    for n in range(often.more(first)):
        message = attempt(runner, further(trial, first, n + 1))
        evidence = message.evidence if isinstance(message, Done) else None
        tries.add(_judged(message, prepared, runner.adapter, out, first=False), evidence)
    return tries.result()


def judge_again(results: Sequence[TrialResult], out: Path) -> list[TrialResult]:
    """The same results by the contract as it is now, from the evidence in `out`; an error has none and stays.

    Raises UsageError when the run's directory lacks its plan or a trial's evidence.
    """
    prepared = read_prepared(out)
    plan.refuse_empty(out / PLAN, prepared.trials)
    trials = {trial.id: trial for trial in prepared.trials}
    again = []
    for old in results:
        if old.outcome == "error" and not old.clauses:
            again.append(old)
            continue
        try:
            trial, evidence = trials[old.id], stored(out, old.id)
        except (KeyError, FileNotFoundError):
            raise UsageError(f"'{out}' lacks the plan or the evidence of '{old.id}': run it again.") from None
        reference, adapter = prepared.references[trial.setup], load_adapter(trial.driver)
        again.append(carried(old, result_of(trial, evidence, old.seconds, reference, adapter)))
    return again


def _judged(
    message: Done | Failed, prepared: Prepared, adapter: Adapter, out: Path, *, first: bool = True
) -> TrialResult:
    """A try's result; the evidence of the first one is kept by the trial's name."""
    trial = message.trial
    if isinstance(message, Done):
        try:
            if first:
                store(out, trial.id, message.evidence)
            return result_of(trial, message.evidence, message.seconds, prepared.references[trial.setup], adapter)
        except HostError:  # the disk takes no more, and would not take the next trial's either
            raise
        except Exception as error:  # a defect of the harness: it costs this trial, not the campaign
            said = f"the harness failed to judge it: {type(error).__name__}: {error}"
            message = Failed(trial, said, traceback.format_exc())
    if not message.details:
        return failed(trial, message.reason)
    told = store_error(out, trial.id, message.details).relative_to(out)
    return failed(trial, f"{message.reason} ('{told}' in the run's directory has the traceback)")
