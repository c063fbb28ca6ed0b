"""What an adapter's author asks first: which drivers there are, and whether one of them works without a fault."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from crashinit import adapters
from crashinit.adapters import Adapter
from crashinit.contract.expectation import NO_FORMAT
from crashinit.contract.judge import judge
from crashinit.contract.verdict import Verdict
from crashinit.machine.provider import get_provider
from crashinit.model.observation import Run
from crashinit.model.trial import Setup
from crashinit.trial.reference import init_without_faults
from crashinit.trial.runner import TrialRunner

OF_RECORDS = ("C05", "C06", "C09", "C18")
OF_FAULTS = {
    "C14": "judged when the power is cut ('fault: power-cut')",
    "C15": "judged under an injected error ('fault: errno')",
    "C16": "judged when two inits run at once (a scenario in Python)",
}
DEADLINE = 60.0  # seconds that the init may take


@dataclass(frozen=True)
class Check:
    """What one init without faults showed."""

    run: Run
    steps: dict[str, int]  # operations in each step that occurs
    unexplained: list[str]  # steps that do not occur, and for which the adapter gives no reason
    denied: list[str]  # steps that do occur, though the adapter says that they do not
    verdicts: dict[str, Verdict]

    @property
    def ok(self) -> bool:
        """Whether the driver converges without a fault, in the steps that its adapter tells of."""
        failed = any(verdict.status == "fail" for verdict in self.verdicts.values())
        return not (failed or self.unexplained or self.denied)


def check(
    driver: str, provider: str, deadline: float = DEADLINE, note: Callable[[str], None] = lambda text: None
) -> Check:
    """Run one init without faults, judge what it leads to; `note` is told what takes long.

    Raises UsageError for an adapter that is wrong, DriverError when the init fails or never gets ready.
    """
    adapter = adapters.load(driver)
    setup = Setup("fresh", (), deadline)
    with TrialRunner(get_provider(provider, note=note), adapter) as runner:
        evidence = init_without_faults(runner, setup)
    run = evidence.fault_run
    family = adapter.kind
    steps = Counter(family.steps_of(run.operations))
    return Check(
        run=run,
        steps={step: steps[step] for step in family.steps if step in steps},
        unexplained=[step for step in family.steps if step not in steps and step not in adapter.absent],
        denied=[step for step in adapter.absent if step in steps],
        verdicts=judge(evidence, evidence, adapter.expectation(setup.options, setup.deadline), family),
    )


def judged_by(adapter: Adapter, clause: str) -> str:
    """When a clause is judged that one init on a fresh root cannot show, or what is missing to have it judged.

    "": it is what the reason of its verdict says.
    """
    if clause in adapter.not_applicable:
        return "as the adapter's [not_applicable] says"
    if clause in OF_RECORDS and adapter.form == NO_FORMAT:
        return "to have it judged, give '[records]' a command that prints them ('crashinit schema records')"
    if clause == "C12" and adapter.users is None:
        return "to have it judged, give '[volume]' the commands create, mount, unmount, remove"
    if clause == "C12":
        return "judged on a used root ('given: populated')"
    return OF_FAULTS.get(clause, "")
