"""One trial: a recorded init is stopped at a boundary and forked there; in the fork the fault strikes, the driver
starts again, and the probe looks.

A recorded init goes forward only. Trials that come in the order of the trace share one: each worker pays for one
init, and per boundary for what comes after it.
"""

import time
from contextlib import ExitStack
from typing import Self

from crashinit.adapters import Adapter
from crashinit.contract.observation import Evidence, Observation, OperationRecord, Run
from crashinit.driven import Driven, Seconds, succeeded
from crashinit.machine.protocol import Machine, Provider, Template
from crashinit.plan import Setup, Trial
from crashinit.recording import Recording


class TrialRunner:
    """Runs the trials of one driver, one after the other. A context manager: leaving it ends every machine.

    One belongs to one process: the machines that it starts end when that process ends.
    """

    def __init__(self, provider: Provider, adapter: Adapter) -> None:
        self.provider = provider
        self.adapter = adapter
        self._stack = ExitStack()
        self._driver: Template | None = None
        self._given: dict[str, tuple[Template, Observation | None]] = {}
        self._recording: Recording | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.forget()
        self._stack.close()

    def driver_template(self) -> Template:
        """A machine in which the driver is installed and has never run."""
        if self._driver is None:
            base = self._stack.enter_context(self.provider.template(self.adapter.install.packages))
            self._driver = self._stack.enter_context(base.derive(self.adapter.installed))
        return self._driver

    def given(self, setup: Setup) -> tuple[Template, Observation | None]:
        """The template that a setup's inits begin from, and what a used root looked like before it was shut down."""
        if setup.given == "fresh":
            return self.driver_template(), None
        key = repr((setup.given, setup.options))
        if key not in self._given:
            before: list[Observation] = []

            def prepare(machine: Machine) -> None:
                driven = Driven(machine, self.adapter, setup)
                driven.populate()
                before.append(driven.observe(digests=True))
                driven.shutdown()

            template = self._stack.enter_context(self.driver_template().derive(prepare))
            self._given[key] = (template, before[0])
        return self._given[key]

    def reference(self, setup: Setup) -> tuple[Evidence, dict[str, float]]:
        """A trial without a fault: its first init is the trace, its states are what the others are compared with."""
        template, before = self.given(setup)
        seconds = Seconds()
        with template.clone() as machine:
            machine.call("mark")
            driven = Driven(machine, self.adapter, setup, seconds)
            run = driven.init()
            evidence = self._examine(driven, "reference", run, None, before, [run], 1)
        return evidence, seconds.parts

    def run(self, trial: Trial) -> tuple[Evidence, dict[str, float]]:
        """One trial, and how long its parts took."""
        seconds = Seconds()
        begin = time.monotonic()
        with seconds.part("reach"):
            recording, before = self._record(trial)
        if recording.operation is None:
            run = Driven(recording.machine, self.adapter, trial.setup).finish(recording.state["gate"])
            self.forget()
            return _nothing_fired(trial, run, before), seconds.parts
        with seconds.part("fork"):
            machine = recording.fork().clone()
        with machine:
            driven = Driven(machine, self.adapter, trial.setup, seconds)
            with seconds.part("fault"):
                machine.call("gate_kill", gate=recording.state["gate"], victim=trial.victim)
                run = driven.finish(recording.state["gate"])
            evidence = self._examine(driven, trial.id, run, recording.operation, before, [], trial.restarts)
        seconds.parts["guest"] = seconds.guest
        seconds.parts["total"] = time.monotonic() - begin
        return evidence, seconds.parts

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
        while len(reinits) < restarts and not (reinits and succeeded(reinits[-1])):
            reinits.append(driven.init())
        after = driven.observe(digests=digests)
        again = after_again = exercise = shutdown = after_shutdown = None
        if reinits and succeeded(reinits[-1]):
            again = driven.init()
            after_again = driven.observe(digests=digests)
            exercise = driven.exercise()
            shutdown = driven.shutdown()
            after_shutdown = driven.observe(after_shutdown=True)
        return Evidence(
            trial=trial,
            fault_run=run,
            fired=fired,
            before=before,
            reinits=reinits,
            after=after,
            again=again,
            after_again=after_again,
            exercise=exercise,
            shutdown=shutdown,
            after_shutdown=after_shutdown,
        )

    def _record(self, trial: Trial) -> tuple[Recording, Observation | None]:
        """The recording held at the trial's boundary; it has ended when the boundary never came."""
        template, before = self.given(trial.setup)
        key = trial.point.operation
        recording = self._recording
        if recording and recording.setup == trial.setup and recording.operation:
            if recording.operation.key == key:
                return recording, before
            if recording.operation.n < trial.point.n:
                recording.forward(key)
                if recording.operation:
                    return recording, before
        self.forget()
        machine = template.clone(forkable=True)
        try:
            machine.call("mark")
            state = Driven(machine, self.adapter, trial.setup).begin_init(key)
        except BaseException:
            machine.close()
            raise
        self._recording = Recording(machine, state, trial.setup)
        return self._recording, before

    def forget(self) -> None:
        """End the recorded init, if there is one: the next trial makes its own."""
        if self._recording:
            self._recording.close()
            self._recording = None


def _nothing_fired(trial: Trial, run: Run, before: Observation | None) -> Evidence:
    return Evidence(
        trial=trial.id,
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
