"""The reference: an init without faults, which has to be sound before a trial is compared with it."""

from crashinit.adapters import Adapter
from crashinit.adapters.driven import trouble
from crashinit.contract.judge import without_fault
from crashinit.errors import DriverError, GuestError
from crashinit.model.observation import Evidence
from crashinit.model.trial import Setup
from crashinit.trial.runner import TrialRunner

MEND = "mend that, or exempt the driver from the clause in its adapter's [not_applicable], with the reason"


def init_without_faults(runner: TrialRunner, setup: Setup) -> Evidence:
    """What an init without faults leads to. Raises DriverError when it fails or never gets ready."""
    evidence, _ = runner.reference(setup)
    if said := trouble(evidence.fault_run, runner.adapter, setup):
        raise DriverError(f"without any fault, {said}")
    return evidence


def refuse_unsound(evidence: Evidence, adapter: Adapter, setup: Setup) -> None:
    """Refuse what every trial would differ from, or what was not seen whole: no trial could be held against it.

    Raises DriverError when the driver breaks the contract without a fault, GuestError when the harness could not look.
    """
    verdict, reason = without_fault(evidence, adapter.expectation(setup.options, setup.deadline), adapter.kind)
    if verdict == "diverged":
        raise DriverError(f"without any fault, on a root '{setup.given}', the driver breaks {reason}: {MEND}")
    if verdict != "converged":
        raise GuestError(
            f"an init without faults, on a root '{setup.given}', could not be judged: {reason}: run it again"
        )
    for when in ("before", "after", "after_again", "after_shutdown"):
        observation = getattr(evidence, when)
        if observation and (missing := [*observation.unseen, *observation.problems]):
            raise GuestError(
                f"an init without faults, on a root '{setup.given}', was not observed whole ({when}): {missing[0]}: "
                "run it again"
            )
