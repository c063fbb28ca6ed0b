"""Which operations of an init have the disk below its root read or written."""

from crashinit.adapters.driven import GRACE, Driven
from crashinit.model.trial import Setup
from crashinit.trial.recording import begin
from crashinit.trial.runner import TrialRunner


def disk_activity(runner: TrialRunner, setup: Setup) -> dict[str, tuple[int, int]]:
    """By operation the reads and writes that reach the disk up to the next boundary, with nothing of it in memory."""
    found = {}
    with runner.given(setup).clone() as machine:
        driven = Driven(machine, runner.adapter, setup)
        state = begin(driven, "every", reads=setup.reads, everywhere=False)
        while (held := state["operation"]) and driven.disk:
            driven.disk.flush()
            before = driven.disk.requests()
            state = machine.call("gate_resume", timeout=setup.deadline + GRACE, gate=state["gate"], stop="every")
            after = driven.disk.requests()
            found[str(held["key"])] = (after[0] - before[0], after[1] - before[1])
        driven.finish(state["gate"])
    return found
