"""One trial: a recorded init is stopped at a boundary and forked there; in the fork the fault strikes, the driver
starts again, and the probe looks.

A recorded init goes forward only. Trials that come in the order of the trace share one: each worker pays for one
init, and per boundary for what comes after it.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Self

from crashinit.adapters import Adapter, requests
from crashinit.adapters.driven import Driven, Seconds
from crashinit.contract.said import succeeded
from crashinit.errors import GuestError, MachineError
from crashinit.faults import FAULTS
from crashinit.machine.protocol import Machine, Provider, Template, Time
from crashinit.model.fault import kind_of
from crashinit.model.observation import Evidence, Observation, OperationRecord, Run
from crashinit.model.trial import INIT, Point, Setup, Trial
from crashinit.trial import company
from crashinit.trial.given import Given, prepared
from crashinit.trial.recording import Recording, begin
from crashinit.trial.repeated import struck_again
from crashinit.trial.same_fault import SameFault
from crashinit.trial.same_state import SameState, State, standing_for, state_of


class TrialRunner:
    """Runs the trials of one driver, one after the other. A context manager: leaving it ends every machine.

    One belongs to one process: the machines that it starts end when that process ends.
    """

    def __init__(self, provider: Provider, adapter: Adapter, *, merges: bool = True) -> None:
        """`merges`: a trial whose fault leaves the state of an earlier one is not run on; that one stands for it."""
        self.provider = provider
        self.adapter = adapter
        self.merges = merges
        self._expected = True  # a trial may come that stands in the state of this one
        self._stack = ExitStack()
        self._driver: Template | None = None
        self._given: dict[Setup, Given] = {}
        self._recording: Recording | None = None
        # By where the first was killed
        self._second: tuple[tuple[Setup, Point, str, int | None], Recording] | None = None
        self._never: tuple[tuple[Setup, int | None], Time, Run, Observation | None] | None = (
            None  # an init that never came where it was awaited
        )
        self._same_fault = SameFault()
        self._same_state = SameState()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.forget()
        self._stack.close()
        self.provider.close()

    def driver_template(self) -> Template:
        """A machine in which the driver is installed and has never run."""
        if self._driver is None:
            self._driver = self._installed(self.provider)
        return self._driver

    def _installed(self, provider: Provider) -> Template:
        self.adapter.check_files()  # before a machine is made for it
        base = self._stack.enter_context(provider.template(self.adapter.packages))
        return self._stack.enter_context(base.derive(self.adapter.installed))

    def given(self, setup: Setup) -> Given:
        """What a setup's inits begin from."""
        key = replace(setup.plain, deadline=0.0, reads=False)
        if key not in self._given:
            self._given[key] = prepared(setup, self.adapter, self.provider, self.driver_template(), self._stack)
        return self._given[key]

    def reference(self, setup: Setup, seed: int | None = None) -> tuple[Evidence, dict[str, float]]:
        """A trial without a fault: its first init is the trace, its states are what the others are compared with.

        `seed`: of its machine, as a trial may have one.
        """
        setup = setup.plain
        given = self.given(setup)
        seconds = Seconds()
        with given.clone(seed=seed) as machine:
            driven = Driven(machine, self.adapter, setup, seconds)
            run = driven.finish(begin(driven, "never", reads=setup.reads, everywhere=False)["gate"])
            counts = [run] if setup.during == INIT else []
            evidence = self._examine(driven, "reference", run, None, given.before, counts, 1)
        return evidence, seconds.parts

    def beyond(self, setup: Setup, count: int) -> OperationRecord | None:
        """What an init does beyond its first `count` operations; None if it ends there, so that no boundary is left."""
        with self.given(setup).clone() as machine:
            driven = Driven(machine, self.adapter, setup)
            state = begin(driven, count + 1, reads=setup.reads, everywhere=self.provider.repeats)
            driven.finish(state["gate"])
        found = state["operation"]
        return OperationRecord.model_validate(found) if found else None

    def expect(self, trials: Sequence[Trial]) -> None:
        """These come together. States are looked at where one can be another's: by errors, or at several boundaries."""
        self._expected = len({trial.point.operation for trial in trials}) > 1 or any(
            kind_of(trial.fault).goes_on for trial in trials
        )

    def run(self, trial: Trial) -> tuple[Evidence, dict[str, float]]:
        """One trial, and how long its parts took."""
        seconds = Seconds()
        if self._never and not trial.point.n and self._never[0] == (trial.setup, trial.seed):
            return nothing_fired(trial, *self._never[1:]), seconds.parts  # the plan, too, knows of no such place
        with seconds.part("total"):
            with seconds.part("reach"):
                recording = self._reach(trial)
            if recording.operation is None:
                run = Driven(recording.machine, self.adapter, trial.setup).finish(recording.state["gate"])
                shown = recording.machine.time, run, recording.before
                self.forget()
                if not trial.point.n:
                    self._never = (trial.setup, trial.seed), *shown
                return nothing_fired(trial, *shown), seconds.parts
            evidence = self._same_fault.find(trial, recording) or self._carry_out(trial, recording, seconds)
        self._same_fault.remember(trial, evidence)
        seconds.parts["guest"] = seconds.guest
        return evidence, seconds.parts

    @contextmanager
    def held(self, trial: Trial) -> Iterator[tuple[Recording, Driven]]:
        """A machine in which the init is held where the fault is to strike; GuestError if it never comes there."""
        recording = self._reach(trial)
        if recording.operation is None:
            raise GuestError(f"the init ended without '{trial.point.operation}', where it was to be held.")
        with self._branch(recording, forkable=True) as machine:
            yield recording, Driven(machine, self.adapter, trial.setup)

    def strike(self, driven: Driven, gate: str, trial: Trial) -> Run:
        """The trial's fault upon an init that is held; the record of that init. Who else is there comes before."""
        company.gather(driven, gate, trial)
        FAULTS[trial.fault].strike(driven, gate, trial)
        run = driven.finish(gate)
        if trial.repeat > 1:
            driven.struck += (run, *struck_again(driven, trial))
            run = driven.struck.pop()
        company.over(driven, trial)
        return run

    def _carry_out(self, trial: Trial, recording: Recording, seconds: Seconds) -> Evidence:
        """The fault, in a fork of the recorded init, and what comes after it unless another trial stands for that."""
        state = None
        with self._forked(trial, recording, seconds) as (driven, run):
            spent = False
            if merged := self._state(trial, recording, run):
                state, spent = _looked_at(driven, merged)
                spent |= self.provider.repeats
            if leader := self._same_state.find(state, trial):
                return standing_for(leader, trial.id, _own(trial, recording, run))
            if not spent:
                evidence = self._follow(driven, trial, recording, run)
        if (
            spent
        ):  # what follows is to meet udevd at its work, and the time that it would have without a look: once more
            with self._forked(trial, recording, seconds) as (driven, run):
                evidence = self._follow(driven, trial, recording, run)
            if self._state(trial, recording, run) != merged:
                state = None
        self._same_state.remember(state, evidence)
        return evidence

    @contextmanager
    def _forked(self, trial: Trial, recording: Recording, seconds: Seconds) -> Iterator[tuple[Driven, Run]]:
        """A fork of the recorded init in which the fault has struck, and the record of the struck init."""
        with seconds.part("fork"):
            machine = self._branch(recording)
        with machine, seconds.of(machine):
            driven = Driven(machine, self.adapter, trial.setup, seconds)
            with seconds.part("fault"):
                run = self.strike(driven, recording.state["gate"], trial)
            yield driven, run

    def _follow(self, driven: Driven, trial: Trial, recording: Recording, run: Run) -> Evidence:
        """All that comes after the fault."""
        # An init that reports success in spite of an error has to have reached what every init must. After a reboot
        # nothing of that is left to look at: an init has to follow.
        goes_on = kind_of(trial.fault).goes_on
        anyhow = goes_on and trial.recovery == "init" and succeeded(run) and trial.setup.during == INIT
        # In a machine whose kernel hangs nothing can be started any more.
        hopeless = run.hung and goes_on and trial.recovery == "init"
        restarts = 0 if hopeless else trial.restarts
        before, tolerated = recording.before, [run] if anyhow else []
        second = company.second_run(driven)
        evidence = self._examine(driven, trial.id, run, recording.operation, before, tolerated, restarts)
        own = _own(trial, recording, run)
        own["earlier"] += driven.struck + second
        own |= company.told(driven, trial)
        return evidence.model_copy(update=own)

    def _state(self, trial: Trial, recording: Recording, run: Run) -> State | None:
        """The state that the fault left, but for its facts; None if it is not known, or no trial stands for another."""
        if (
            trial.repeat > 1
            or not self.merges
            or not self._expected
            or not self.provider.forks
            or recording.operation is None
        ):
            return None
        number = None if self.provider.repeats else recording.number
        return state_of(trial, number, recording.earlier, run, recording.operation)

    def _branch(self, recording: Recording, *, forkable: bool = False) -> Machine:
        """A machine in which the init is held as in the recording: a fork of it, or it itself, which is then spent."""
        if self.provider.forks:
            return recording.fork().clone(forkable=forkable)
        if recording is self._recording:
            self._recording = None
        else:
            self._second = None
        return recording.machine

    def _examine(
        self,
        driven: Driven,
        trial: str,
        run: Run,
        fired: OperationRecord | None,
        before: Observation | None,
        reinits: list[Run],
        restarts: int,
    ) -> Evidence:
        """Start the driver until it succeeds, then look at it, use it, start it once more, and shut it down."""
        digests = before is not None
        driven.let_go("before")
        while len(reinits) < restarts and not (reinits and (succeeded(reinits[-1]) or reinits[-1].hung)):
            reinits.append(driven.next_init())
        if driven.udev:
            driven.udev.over()
        requested = requests.settled(driven, run) if reinits and succeeded(reinits[-1]) else None
        after = _observed(driven, digests=digests, hung=any(init.hung for init in (run, *reinits)))
        again = after_again = exercise = shutdown = after_shutdown = None
        if reinits and succeeded(reinits[-1]):
            again = driven.next_init()
            after_again = driven.observe(digests=digests)
            exercise = driven.exercise()
            if not exercise.hung and driven.let_go("end"):
                shutdown = driven.shutdown()
                after_shutdown = driven.observe(after_shutdown=True)
        return Evidence(
            trial=trial,
            during=driven.setup.during,
            time=driven.machine.time,
            kernel=driven.machine.kernel,
            fault_run=run,
            fired=fired,
            requested=requested,
            before=before,
            reinits=reinits,
            stops=driven.stops,
            after=after,
            again=again,
            after_again=after_again,
            exercise=exercise,
            shutdown=shutdown,
            after_shutdown=after_shutdown,
        )

    def _reach(self, trial: Trial) -> Recording:
        """The recorded init held where the trial's fault strikes; it has ended when that boundary never came."""
        if trial.earlier is None:
            return self._record(trial.setup, trial.point, trial.seed)
        key = (trial.setup, trial.earlier, trial.victim, trial.seed)
        if self._second is None or self._second[0] != key or not self._second[1].reach(trial.point):
            self._forget_second()
            self._second = (key, self._record_second(trial, trial.earlier))
        return self._second[1]

    def _record(self, setup: Setup, point: Point, seed: int | None) -> Recording:
        held = self._recording
        if held is None or (held.setup, held.seed) != (setup, seed) or not held.reach(point):
            self._forget_recordings()
            given = self.given(setup)
            machine = given.clone(forkable=True, seed=seed)
            try:
                driven = Driven(machine, self.adapter, setup)
                state = begin(driven, point.operation, reads=setup.reads, everywhere=self.provider.repeats)
            except BaseException:
                machine.close()
                raise
            everywhere = self.provider.repeats
            held = self._recording = Recording(machine, state, setup, given.before, everywhere=everywhere, seed=seed)
        return held

    def _record_second(self, trial: Trial, earlier: Point) -> Recording:
        """The init after a first crash."""
        first = self._record(trial.setup, earlier, trial.seed)
        if first.operation is None:
            raise GuestError(f"the first init did not come to '{earlier.operation}', where it was to be killed.")
        machine = self._branch(first, forkable=True)
        try:
            driven = Driven(machine, self.adapter, trial.setup)
            machine.call("gate_kill", gate=first.state["gate"], victim=trial.victim)
            run = driven.finish(first.state["gate"])
            everywhere = self.provider.repeats
            state = begin(driven, trial.point.operation, reads=trial.setup.reads, everywhere=everywhere)
            return Recording(machine, state, trial.setup, first.before, (run,), everywhere=everywhere)
        except BaseException:
            machine.close()
            raise

    def forget(self) -> None:
        """End the recorded inits, if there are any, and what they showed: the next trial makes its own."""
        self._same_fault, self._same_state = SameFault(), SameState()
        self._forget_recordings()

    def _forget_recordings(self) -> None:
        self._forget_second()
        if self._recording:
            self._recording.close()
            self._recording = None

    def _forget_second(self) -> None:
        if self._second:
            self._second[1].close()
            self._second = None


def _own(trial: Trial, recording: Recording, run: Run) -> dict[str, Any]:
    """What a trial's own fault did, whichever trial shows what came after it."""
    return {
        "fault": trial.fault,
        "fault_run": run,
        "fired": recording.operation,
        "earlier": list(recording.earlier),
    }


def _looked_at(driven: Driven, state: State) -> tuple[State | None, bool]:
    """The state with the machine's facts, and whether udevd was waited for, so that nothing can follow there."""
    try:
        facts = driven.facts()
    except GuestError:  # a state that cannot be looked at is like no other
        return None, True
    return state.with_facts(facts), facts["busy"]


def _observed(driven: Driven, *, digests: bool, hung: bool) -> Observation | None:
    """The state after the inits; None if one of them hung in the kernel, and now whoever looks hangs as well."""
    try:
        return driven.observe(digests=digests)
    except (MachineError, GuestError):
        if not hung:
            raise
        return None


def nothing_fired(trial: Trial, time: Time, run: Run, before: Observation | None) -> Evidence:
    """The evidence of a trial whose fault never struck."""
    return Evidence(
        trial=trial.id,
        during=trial.setup.during,
        time=time,
        fault=trial.fault,
        fault_run=run,
        fired=None,
        before=before,
        reinits=[],
        after=None,
        again=None,
        after_again=None,
        exercise=None,
        shutdown=None,
        after_shutdown=None,
    )
