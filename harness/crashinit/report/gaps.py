"""What a run does not know: trials that did not fire, that could not be judged, or that have no result."""

from crashinit.report.results import RunRecord
from crashinit.report.words import many


class Gaps:
    """The trials of a run without a verdict on the driver; false when there is none."""

    def __init__(self, run: RunRecord) -> None:
        self._run = run
        self.unfired = [result for result in run.results if result.outcome == "not-fired"]
        self.errors = [result for result in run.results if result.outcome == "error"]

    def __bool__(self) -> bool:
        return bool(self.unfired or self.errors or self._run.not_run)

    def sentences(self) -> list[str]:
        """How many of each kind, one sentence each."""
        said = []
        if self.unfired:
            said.append(f"In {many(len(self.unfired), 'further trial')} the fault did not fire.")
        if self.errors:
            said.append(f"{many(len(self.errors), 'trial')} could not be judged.")
        return [*said, *filter(None, [self.missing()])]

    def missing(self) -> str:
        """How many planned trials have no result, and why; "" if all have one."""
        run = self._run
        if not run.not_run:
            return ""
        why = "the run was interrupted" if run.interrupted else "the run did not end"
        if not run.interrupted and run.seconds is not None:
            why = "the run ended without them"
        have = "has" if len(run.not_run) == 1 else "have"
        return f"{len(run.not_run)} of the {many(len(run.planned), 'planned trial')} {have} no result: {why}."
