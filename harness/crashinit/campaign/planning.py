"""Planning: from scenarios to trials, by an init without faults of each setup; from ended trials to second faults."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crashinit.adapters import load as load_adapter
from crashinit.errors import UsageError
from crashinit.faults import planned as planned_faults
from crashinit.faults.powercut import plan as power_cuts
from crashinit.faults.powercut.record import LoggedInit
from crashinit.machine.provider import get_provider
from crashinit.model.events import Listener, Note
from crashinit.model.fault import kind_of
from crashinit.model.observation import Evidence, OperationRecord
from crashinit.model.trial import Setup, Trial
from crashinit.run.kept import PLAN, Prepared, adapter_digest, read_prepared
from crashinit.scenario import plan
from crashinit.scenario.scenario import Scenario
from crashinit.trial.activity import disk_activity
from crashinit.trial.powercut import PowerCutRunner, recording_name
from crashinit.trial.reference import init_without_faults, refuse_unsound
from crashinit.trial.runner import TrialRunner

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


@dataclass(frozen=True)
class Runners:
    """What `make_runner` is to make in each worker."""

    driver: str
    provider: str
    out: Path  # the run's directory, with the recordings
    merges: bool = True

    def __call__(self) -> PowerCutRunner:
        return make_runner(self.driver, self.provider, self.out, merges=self.merges)

    def accel(self) -> str:
        """How machines run on this host: results are alike only where that is."""
        return get_provider(self.provider).accel


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
        cuts = [scenario for scenario in scenarios if kind_of(scenario.fault).cuts_power]
        if cuts and runner.plugging is None:
            raise UsageError(f"the provider '{provider}' cannot plug disks in: cut the power with '--provider qemu'.")
        if cuts and runner.plugging is not runner.provider:
            left_out.append(f"virtual time for power cuts: {IN_REAL_TIME}")
        if len(cuts) < len(scenarios):
            runner.driver_template()
        family = runner.adapter.kind
        for scenario in scenarios:
            if kind_of(scenario.fault).cuts_power:
                setup = power_cuts.setup_of(scenario, runner.adapter)
                if setup not in recorded:
                    emit(
                        Note(
                            f"recording an init of '{runner.adapter.name}' and what its disks are told: '{setup.given}'"
                        )
                    )
                    recorded[setup], references[setup] = runner.record(setup)
                    refuse_unsound(references[setup], runner.adapter, setup)
                planned, said = power_cuts.trials(scenario, recorded[setup], driver, runner.adapter)
            else:
                setup = plan.setup_of(scenario)
                if setup not in references:
                    emit(Note(f"recording an init of '{runner.adapter.name}' without faults, on a {setup.given} root"))
                    references[setup] = init_without_faults(runner, setup)
                    refuse_unsound(references[setup], runner.adapter, setup)
                init = references[setup].fault_run
                active = disk_activity(runner, setup) if setup.on_a_disk else {}
                planned = planned_faults.trials(scenario, init, driver, family, active)
                said = plan.left_out(scenario, init.operations, family)
                said += planned_faults.left_out(scenario, init, family, active)
                if scenario.step == "all":
                    said += _no_boundary_is_left(runner, scenario, setup, len(init.operations), emit)
            absent = runner.adapter.without(scenario.step or "")
            if absent and all(trial.point.n == 0 for trial in planned):
                planned, said = [], [f"{scenario.name}: no step '{scenario.step}': {absent}"]
            trials += planned
            left_out += said + plan.unseen(scenario, references[setup].fault_run)
        accel = runner.provider.accel
        adapter = runner.adapter
    plan.refuse_doubles(trials)
    recordings = {recording_name(adapter, setup): init for setup, init in recorded.items()}
    scenarios_said = {one.name: one.model_dump(mode="json", exclude_unset=True) for one in scenarios}
    return Prepared(
        trials, references, accel, left_out, recordings, adapter.name, adapter_digest(adapter), scenarios_said
    )


def _no_boundary_is_left(
    runner: TrialRunner, scenario: Scenario, setup: Setup, count: int, emit: Listener
) -> list[str]:
    """The proof that an exploration is complete: a fault one boundary further does not fire, since the init has ended.

    Where it would, that is said: the driver's inits differ from one another.
    """
    further = runner.beyond(setup, count)
    if further:
        return [f"{scenario.name}: '{further.key}', which one init came to and the one that was planned from did not"]
    emit(Note(f"{scenario.name}: this init has {count} operations, and all are in the plan"))
    return []


def trace(driver: str, provider: str, setup: Setup, emit: Listener) -> list[tuple[str, OperationRecord]]:
    """The operations of one init without faults, each with its step."""
    with TrialRunner(get_provider(provider, note=lambda text: emit(Note(text))), load_adapter(driver)) as runner:
        operations = init_without_faults(runner, setup).fault_run.operations
        steps = runner.adapter.kind.steps_of(operations)
    return list(zip(steps, operations, strict=True))


def planned_before(scenarios: Sequence[Scenario], driver: str, out: Path) -> Prepared:
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
