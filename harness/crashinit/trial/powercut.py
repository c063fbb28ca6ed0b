"""Power-cut trials: a machine gets the disks of a crash state, mounts the root, and runs init as after a boot."""

from dataclasses import replace
from pathlib import Path

from crashinit.adapters import Adapter
from crashinit.adapters.driven import Driven, Seconds, trouble
from crashinit.contract.said import succeeded
from crashinit.errors import DriverError, MachineError, UsageError
from crashinit.faults.powercut import disk
from crashinit.faults.powercut.layout import layout_of, plug
from crashinit.faults.powercut.record import LoggedInit, Recorder, detach
from crashinit.faults.powercut.states import CrashState
from crashinit.machine.cache import digest
from crashinit.machine.files import File
from crashinit.machine.protocol import Machine, Provider, Template
from crashinit.model.fault import kind_of
from crashinit.model.observation import Evidence, Observation, Run
from crashinit.model.trial import Point, Setup, Trial
from crashinit.run.kept import RECORDINGS
from crashinit.scenario.plan import quoted
from crashinit.trial.runner import TrialRunner, nothing_fired

THEN = "+"  # between the names of a first and a second crash state
DEADLINE = 60.0  # seconds; a setup with this one and without options of its own has the layout's name alone
READABLE = 60  # characters of a recording's file name that are for people
POWER_GONE = -9  # the exit of a run that the power cut ended: as if by SIGKILL, but with the whole machine


class PowerCutRunner(TrialRunner):
    """Runs trials whose fault is a power cut too, over the recordings in a run's directory."""

    def __init__(self, provider: Provider, adapter: Adapter, out: Path, *, merges: bool = True) -> None:
        super().__init__(provider, adapter, merges=merges)
        self.out = out
        self.plugging = provider.plugging()  # None: a power cut cannot be had
        self._warm: Template | None = None
        self._recorded: dict[str, LoggedInit] = {}

    def warm_template(self) -> Template:
        """A machine in which a driver has run before, so that its kernel has read all that a trial needs."""
        if self._warm is None:

            def warm(machine: Machine) -> None:
                driven = Driven(machine, self.adapter, Setup("fresh", (), 60.0))
                machine.call("mark")
                if said := trouble(driven.init(), self.adapter, driven.setup):
                    raise DriverError(f"without any fault, {said}")
                driven.observe()
                driven.exercise()
                driven.end()
                driven.observe(after_shutdown=True)
                machine.run("rm", "-rf", self.adapter.whole).check()
                machine.run("mkdir", "-p", self.adapter.whole).check()

            beside = self.plugging if self.plugging is not self.provider else None
            driver = self._installed(beside) if beside else self.driver_template()
            self._warm = self._stack.enter_context(driver.derive(warm))
        return self._warm

    def blank(self, setup: Setup) -> tuple[list[File], Observation | None]:
        """The disks that a setup's inits begin from, and what a used root looked like before it was shut down."""
        layout, volume = layout_of(setup), self.adapter.whole
        disks = [disk.blank(size) for size in layout.sizes(self.adapter)]
        before = None
        with self.warm_template().clone() as machine:
            plug(machine, disks)
            layout.make_filesystem(machine)
            if setup.used:
                layout.mount(machine, volume)
                machine.call("mark")
                driven = Driven(machine, layout_of(setup).adapted(self.adapter), setup)
                before = driven.used_root()
                detach(machine, volume)
            machine.run("sync").check()
        return [file.sparsed_to(File.on_disk()) for file in disks], before

    def record(self, setup: Setup) -> tuple[LoggedInit, Evidence]:
        """Record an init without faults; also its evidence, which trials are judged against.

        Raises DriverError when the driver does not even start without a fault.
        """
        initial, before = self.blank(setup)
        with self.warm_template().clone() as machine:
            machine.call("mark")
            driven = Driven(machine, layout_of(setup).adapted(self.adapter), setup)
            recorder = Recorder(driven, initial)
            recorded = replace(recorder.init(), before=before)
            if said := trouble(recorded.run, self.adapter, setup):
                raise DriverError(f"without any fault, on '{setup.given}' {said}")
            evidence = self._examine(driven, "reference", recorded.run, None, before, [recorded.run], 1)
            detach(machine, self.adapter.whole)
            recorder.check()
        return recorded, evidence

    def record_again(self, first: Trial) -> LoggedInit:
        """Record the init after a trial's power cut, whether it succeeds or not.

        Raises CrashinitError when it cannot be recorded: the root does not mount, or log and disk disagree.
        """
        recorded, state = self.recorded(first)
        with self.warm_template().clone() as machine:
            machine.call("mark")
            driven = Driven(machine, layout_of(first.setup).adapted(self.adapter), first.setup)
            recorder = Recorder(driven, recorded.disks(state))
            again = recorder.init()
            ended = driven.shutdown() if succeeded(again.run) else None
            if ended and succeeded(ended):
                detach(machine, self.adapter.whole)
            else:  # what the driver left active writes on until the machine is reset
                machine.reboot()
            recorder.check()
        return replace(again, before=recorded.before, earlier=(*recorded.earlier, cut_short(recorded.run, state)))

    def run(self, trial: Trial) -> tuple[Evidence, dict[str, float]]:
        """One trial, and how long its parts took; of another fault than a power cut as any runner does it."""
        if not kind_of(trial.fault).cuts_power:
            return super().run(trial)
        if trial.state.endswith(THEN):
            self.record_again(replace(trial, state=trial.state.removesuffix(THEN), earlier=None))
            raise MachineError(f"the init of '{trial.id}' can be recorded now: explore again to strike it as well")
        if not trial.state:
            recorded = self._read(recording_name(self.adapter, trial.setup))
            return nothing_fired(trial, "real", recorded.run, recorded.before), {}
        recorded, state = self.recorded(trial)
        seconds = Seconds()
        with seconds.part("total"):
            evidence = self.boot(trial, recorded, state, seconds)
        seconds.parts["guest"] = seconds.guest
        return evidence, seconds.parts

    def boot(self, trial: Trial, recorded: LoggedInit, state: CrashState, seconds: Seconds) -> Evidence:
        """The power comes back: a machine finds the disks of a crash state."""
        with seconds.part("image"):
            disks = recorded.disks(state)
        with seconds.part("clone"):
            machine = self.warm_template().clone()
        with machine, seconds.of(machine):
            with seconds.part("plug"):
                machine.call("mark")
                plug(machine, disks)
            with seconds.part("mount"):
                layout_of(trial.setup).mount(machine, self.adapter.whole)
            driven = Driven(machine, layout_of(trial.setup).adapted(self.adapter), trial.setup, seconds)
            run, fired = cut_short(recorded.run, state), recorded.operations[state.operation]
            evidence = self._examine(driven, trial.id, run, fired, recorded.before, [], trial.restarts)
        return evidence.model_copy(update={"fault": trial.fault, "earlier": list(recorded.earlier)})

    def recorded(self, trial: Trial) -> tuple[LoggedInit, CrashState]:
        """The recording that a trial's (last) power cut struck, and the crash state that it left. Raises UsageError."""
        first, _, second = trial.state.partition(THEN)
        name = recording_name(self.adapter, trial.setup, trial.earlier, first)
        recorded = self._read(name)
        state = recorded.states.get((trial.point.operation, second or first))
        if state is None:
            raise UsageError(f"the recording '{name}' has no crash state '{trial.id}'.")
        return recorded, state

    def _read(self, name: str) -> LoggedInit:
        if name not in self._recorded:
            self._recorded[name] = LoggedInit.read(self.out / RECORDINGS / name)
        return self._recorded[name]


def recording_name(adapter: Adapter, setup: Setup, earlier: Point | None = None, state: str = "") -> str:
    """The file of a setup's recording, or of the one over a crash state before an earlier operation.

    It is readable, and what is not in its words is in its digest: no two setups, and no two states, share a file.
    """
    own = setup.options[len(layout_of(setup).options(adapter)) :]
    name = setup.given
    if own or setup.deadline != DEADLINE:
        name += _told("+".join(own), repr((own, setup.deadline)))
    if earlier:
        name += _told(f"{earlier.operation}~{state}", repr((earlier.operation, state)))
    return f"{name}.gz"


def _told(words: str, whole: str) -> str:
    """A part of a file's name: the first of these words, and a digest of all that it stands for."""
    return f"~{quoted(words)[:READABLE]}~{digest(whole)}"


def cut_short(run: Run, state: CrashState) -> Run:
    """The record of a run that the power cut ended."""
    if state.phase == "after":
        return run
    operations = run.operations[: state.operation + 1]
    return run.model_copy(
        update={"exit": POWER_GONE, "stdout": "", "operations": operations, "seconds": operations[-1].seconds}
    )
