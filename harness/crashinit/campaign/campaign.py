"""A campaign: run the trials of some scenarios, judge them, and say what happens as events.

It knows no pytest and no console: the command line and the pytest plugin are two faces over it.
"""

import contextlib
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence, Set
from pathlib import Path
from types import MappingProxyType

from crashinit.adapters import Adapter
from crashinit.adapters import load as load_adapter
from crashinit.campaign.limit import left_out as no_time_for
from crashinit.campaign.order import by_what_they_tell
from crashinit.campaign.planning import Runners, planned_before, prepare
from crashinit.campaign.result import failed, result_of
from crashinit.campaign.second import second_faults
from crashinit.campaign.shard import ELSEWHERE, Shard
from crashinit.campaign.tries import (
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
    time_of,
    under,
)
from crashinit.campaign.units import groups
from crashinit.campaign.workers import Begun, Done, Engine, Failed, Told, attempt, run_groups
from crashinit.errors import HostError, NothingRanError, UsageError
from crashinit.machine.provider import get_provider
from crashinit.machine.seed import apart
from crashinit.model.events import (
    Listener,
    Note,
    Outcome,
    RunExtended,
    RunFinished,
    RunShortened,
    RunStarted,
    TrialConfirmed,
    TrialFinished,
    TrialResult,
    TrialStarted,
)
from crashinit.model.trial import Trial
from crashinit.run.kept import PLAN, Prepared, read_prepared, store, store_error, stored
from crashinit.scenario import plan
from crashinit.scenario.scenario import Scenario
from crashinit.trial.runner import TrialRunner
from crashinit.trial.same_state import difference, is_sampled, sample, unmerged


def run(
    scenarios: Sequence[Scenario],
    driver: str,
    provider: str,
    out: Path,
    workers: int | Engine,
    select: Callable[[str], bool],
    emit: Listener,
    *,
    second: int = 0,
    done: Set[str] | None = None,
    earlier: Sequence[TrialResult] = (),
    often: HowOften = OFTEN,
    expression: str = "",
    shard: Shard | None = None,
    limit: float | None = None,
) -> list[Outcome]:
    """Run the trials of these scenarios whose id is selected; the outcomes of those that ended.

    `expression`: what `select` was made of, for reports. `shard`: only that share of them.
    `limit`: seconds after which no more of them is run; those that tell most come first.
    `second`: of the re-inits of these trials, that many are struck once more, spread over all. `done`: the run in `out`
    is gone on with, by its plan, and these of its trials have ended.
    An interruption (KeyboardInterrupt) ends every machine, tells the listeners, and goes on to the caller.
    """
    often.require(get_provider(provider))
    prepared = (
        prepare(scenarios, driver, provider, out, emit) if done is None else planned_before(scenarios, driver, out)
    )
    first = [trial for trial in prepared.trials if not trial.earlier]
    chosen = [trial for trial in first if select(trial.id)]
    if dropped := len(first) - len(chosen):
        took = Counter(trial.point.step or "no step" for trial in chosen)
        taken = ", ".join(f"{step} {count}" for step, count in took.items())
        emit(Note(f"'-k' selects {len(chosen)} of the plan's {len(first)} trials: {taken or 'none'}"))
        prepared.left_out.append(
            f"{dropped} of the plan's {len(first)} trials: they were not selected; those that were: {taken}"
        )
    if not chosen:
        raise NothingRanError(f"nothing ran: none of the plan's {len(first)} trials was selected.")
    if shard:
        mine = shard.of(chosen, prepared.references)
        prepared.left_out.append(f"{len(chosen) - len(mine)} of {len(chosen)} trials: {ELSEWHERE}")
        chosen = mine
    if done is None:
        prepared.store(out)

    def left(trials: Sequence[Trial]) -> list[Trial]:
        return [trial for trial in trials if trial.id not in (done or ())]

    def more() -> tuple[list[Trial], list[str]]:
        sample = [trial for trial in prepared.trials if trial.earlier]
        said: list[str] = []
        if not sample:
            emit(Note("looking for the boundaries of the inits that came after, to strike those as well"))
            sample, said = second_faults(chosen, driver, provider, out, second)
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
        shard=str(shard or ""),
        limit=limit,
        narrowed=bool(dropped) or any(scenario.steps for scenario in scenarios),
        earlier=[result for result in earlier if select(result.id)],
        often=often,
        expression=expression,
    )


def run_trials(
    prepared: Prepared,
    trials: Sequence[Trial],
    driver: str,
    provider: str,
    out: Path,
    workers: int | Engine,
    emit: Listener,
    more: Callable[[], tuple[list[Trial], list[str]]] | None = None,
    recordings: Path | None = None,
    narrowed: bool = False,
    earlier: Sequence[TrialResult] = (),
    often: HowOften = OFTEN,
    expression: str = "",
    shard: str = "",
    limit: float | None = None,
) -> list[Outcome]:
    """Run planned trials on this many workers, or on an engine's, and judge each as it ends; then try those again that
    are to be.

    `more` is asked after them for trials that follow from them, and what of those is left out. `recordings`: the
    directory of the run that planned them, if that is not `out`. `narrowed`: they are not all that there is.
    `expression`: that of '-k' which chose them from the plan in `out`. `shard`: which share of it they are.
    `limit`: as for `run`.
    `earlier`: results that a run begins with which is gone on with.
    """
    adapter, machines = load_adapter(driver), get_provider(provider)
    often.require(machines)
    results: dict[str, TrialResult] = {}
    begin = time.monotonic()
    interrupted = True

    def ended(units: Sequence[Sequence[Trial]], *, merges: bool = False) -> Generator[Done | Failed]:
        make = Runners(driver, provider, recordings or out, merges)
        running = run_groups(units, make, workers) if isinstance(workers, int) else workers.run(units, make)
        with contextlib.closing(running) as messages:
            for message in messages:
                if isinstance(message, Begun):
                    emit(TrialStarted(message.trial.id, message.worker))
                elif isinstance(message, Told):
                    emit(Note(message.text))
                else:
                    yield message

    def batch(trials: Sequence[Trial]) -> None:
        in_order = groups if limit is None else by_what_they_tell
        units = in_order([under(trial, machines) for trial in trials], prepared.references if often.merge else {})
        with contextlib.closing(ended(list(units), merges=often.merge)) as messages:
            for message in messages:
                result = _judged(message, prepared, adapter, out)
                results[result.id] = result
                emit(TrialFinished(result))
                if limit is not None and time.monotonic() - begin > limit:
                    break

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
    time_ = time_of(trials, machines)
    name, guest = apart(provider)
    about = (driver, name, prepared.accel, ids, left_out, narrowed, expression, time_, guest, prepared.kernel)
    began = RunStarted(*about, shard)
    emit(began)
    try:
        batch(trials)
        further: list[Trial] = []
        left = [trial.id for trial in trials if trial.id not in results] if limit is not None else []
        if left:
            emit(RunShortened(left, [no_time_for(len(left), len(trials), limit or 0.0)]))
        elif more:
            further, left_out = more()
            emit(RunExtended([trial.id for trial in further], left_out))
            batch(further)
        planned = list({trial.id: trial for trial in (*prepared.trials, *trials, *further)}.values())
        known = {**{result.id: result for result in earlier}, **results}
        if not left:
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
