"""What a budget finds: the order of `--max-time`, played through on a run that was whole, without a machine.

python -m benchmarks.budget DIR...
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from crashinit.campaign.order import by_what_they_tell
from crashinit.campaign.units import groups
from crashinit.model.events import TrialResult
from crashinit.model.trial import Trial
from crashinit.report import read
from crashinit.report.kinds import Kind, kind_of
from crashinit.run.kept import read_prepared

MOMENTS = (60.0, 120.0, 300.0)  # seconds


def main() -> None:
    """For each run the share of its kinds of failure that is found after some time, in this order and in the plan's."""
    for directory in map(Path, sys.argv[1:]):
        run, prepared = read(directory), read_prepared(directory)
        results = {result.id: result for result in run.results}
        trials = [trial for trial in prepared.trials if trial.id in results]
        whole = sum(result.seconds.get("total", 0.0) for result in run.results)
        kinds = {kind_of(result) for result in run.results if result.outcome == "diverged"}
        print(f"{directory}: {len(trials)} trials, {whole:.0f} s on one worker, {len(kinds)} kinds of failure")
        orders = {
            "by what they tell": [t for unit in by_what_they_tell(trials, prepared.references) for t in unit],
            "in the plan's order": [t for unit in groups(trials, prepared.references) for t in unit],
        }
        for name, order in orders.items():
            shares = [f"{_share(order, results, kinds, moment):.0%} after {moment:.0f} s" for moment in MOMENTS]
            shares.append(f"{_share(order, results, kinds, whole / 5):.0%} after a fifth ({whole / 5:.0f} s)")
            print(f"  {name}: {', '.join(shares)}")


def _share(order: list[Trial], results: Mapping[str, TrialResult], kinds: set[Kind], seconds: float) -> float:
    found: set[Kind] = set()
    spent = 0.0
    for trial in order:
        result = results[trial.id]
        spent += result.seconds.get("total", 0.0)
        if spent > seconds:
            break
        if result.outcome == "diverged":
            found.add(kind_of(result))
    return len(found & kinds) / len(kinds) if kinds else 1.0


if __name__ == "__main__":
    main()
