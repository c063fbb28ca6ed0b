"""What a run's directory keeps of its trials: plan and evidence, so that all can be judged again without a machine.

plan.json                     the trials
evidence/reference-N.json.gz  of an init without faults, one for each setup
evidence/TRIAL.json.gz        of each trial that has ended
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crashinit import plan
from crashinit.contract.observation import Evidence
from crashinit.errors import UsageError
from crashinit.plan import Setup, Trial

PLAN = "plan.json"
EVIDENCE = "evidence"


@dataclass(frozen=True)
class Prepared:
    """A plan with what its trials are judged against."""

    trials: list[Trial]
    references: dict[Setup, Evidence]
    accel: str
    left_out: list[str]  # sentences: what the plan does not try, and why

    def store(self, out: Path) -> None:
        """Keep it in a run's directory."""
        out.mkdir(parents=True, exist_ok=True)
        plan.write(out / PLAN, self.trials)
        for number, (setup, evidence) in enumerate(self.references.items()):
            given = [setup.given, list(setup.options), setup.deadline]
            store(out, f"reference-{number}", evidence, setup=given, accel=self.accel)


def read_prepared(out: Path) -> Prepared:
    """What `prepare` stored in a run's directory. Raises UsageError when there is none."""
    trials = plan.read(out / PLAN)
    references: dict[Setup, Evidence] = {}
    accel = ""
    for path in sorted((out / EVIDENCE).glob("reference-*.json.gz")):
        evidence, facts = _read(path)
        given, options, deadline = facts["setup"]
        references[Setup(given, tuple(options), deadline)] = evidence
        accel = facts["accel"]
    missing = {trial.setup for trial in trials} - set(references)
    if missing:
        raise UsageError(f"'{out / EVIDENCE}' lacks the reference that its plan needs: run the scenarios again.")
    return Prepared(trials, references, accel, [])


def store(out: Path, name: str, evidence: Evidence, **facts: object) -> None:
    """Keep evidence, so that the run can be judged again without a machine."""
    directory = out / EVIDENCE
    directory.mkdir(parents=True, exist_ok=True)
    with gzip.open(directory / f"{name.replace('/', '~')}.json.gz", "wt", encoding="utf-8", compresslevel=3) as file:
        json.dump({**facts, "evidence": evidence.model_dump()}, file)


def stored(out: Path, name: str) -> Evidence:
    """The evidence that `store` kept. Raises FileNotFoundError when there is none, UsageError when it is damaged."""
    return _read(out / EVIDENCE / f"{name.replace('/', '~')}.json.gz")[0]


def _read(path: Path) -> tuple[Evidence, dict[str, Any]]:
    """Evidence, and the facts that were stored with it."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            data = json.load(file)
        return Evidence.model_validate(data.pop("evidence")), data
    except (gzip.BadGzipFile, EOFError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(f"'{path}' is damaged, or of another version: run its trial again.") from error
