"""Many crashes in a row: what each leaves behind adds up."""

from crashinit.adapters.driven import Driven
from crashinit.contract.said import succeeded
from crashinit.errors import DriverError
from crashinit.faults import FAULTS
from crashinit.model.observation import Run
from crashinit.model.trial import Trial


def struck_again(driven: Driven, trial: Trial) -> list[Run]:
    """After the first: the same fault upon further inits at the same operation, as often as the trial says.

    An init that does not come there any more is run to its end; one that succeeds is shut down, so that the next one
    has something to do. Raises DriverError when a shutdown fails.
    """
    runs: list[Run] = []
    for _ in range(trial.repeat - 1):
        state = driven.begin_init(trial.point.operation, reads=trial.setup.reads)
        if state["operation"]:
            FAULTS[trial.fault].strike(driven, state["gate"], trial)
        runs.append(driven.finish(state["gate"]))
        if succeeded(runs[-1]) and not kept_up(driven):
            raise DriverError(f"after {len(runs)} inits in a row that were struck, the driver cannot be shut down")
    return runs


def kept_up(driven: Driven) -> bool:
    """Whether the driver could be shut down."""
    ended = driven.shutdown()
    return ended is None or succeeded(ended)
