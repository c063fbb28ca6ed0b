"""What a run's directory keeps of its trials: plan and evidence, so that all can be judged again without a machine.

plan.json                     the trials
scenarios.json                the scenarios that they come from
evidence/reference-N.json.gz  of an init without faults, one for each setup, and whose it is
evidence/TRIAL.json.gz        of each trial that has ended
errors/TRIAL.txt              what is known of each error of the harness itself
powercut/*.gz                 the recorded inits whose disks lose their power

A new run takes the place of an old one when it has all that it needs to begin: see `Prepared.store`.
"""

import gzip
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from crashinit.adapters import Adapter
from crashinit.errors import UsageError
from crashinit.files.safe import UNFINISHED, damage, disk_errors, inflated, parsed, replacing, sweep, text, write_text
from crashinit.machine.cache import digest
from crashinit.model.fault import kind_of
from crashinit.model.observation import Evidence
from crashinit.model.trial import Setup, Trial
from crashinit.scenario import plan

PLAN = "plan.json"
SCENARIOS = "scenarios.json"
EVIDENCE = "evidence"
ERRORS = "errors"
RECORDINGS = "powercut"
COLD = "cold"  # what failed, once more in machines that were booted for it: a run of its own, by this one's plan
REPORTS = (
    "results.jsonl",
    "run.json",
    "summary.json",
    "junit.xml",
    "report.html",
    "ctrf.json",
    "report.sarif",
    "summary.md",
    "badge.svg",
    "README.md",
)
NAME_LIMIT = 180  # bytes of a file's name before its ending; most file systems take 255

_REFERENCE = re.compile(r"reference-\d+")


class Recording(Protocol):
    """A recorded init whose disks lose their power."""

    def store(self, path: Path) -> None:
        """Keep it in a file, written in one step. Raises HostError."""


@dataclass(frozen=True)
class InFile:
    """A recording that another run keeps."""

    path: Path

    def store(self, path: Path) -> None:
        with replacing(path) as file, self.path.open("rb") as source:
            shutil.copyfileobj(source, file)


@dataclass(frozen=True)
class Prepared:
    """A plan with what its trials are judged against."""

    trials: list[Trial]
    references: dict[Setup, Evidence]
    accel: str
    left_out: list[str]  # sentences: what the plan does not try, and why
    recordings: Mapping[str, Recording] = field(default_factory=dict)  # of power cuts, by the names of their files
    driver: str = ""  # the adapter's name; "": a run of an earlier version, which did not keep it
    adapter: str = ""  # a digest of what the adapter said
    # What each scenario says, by its name; {}: a run of an earlier version, which did not keep it
    scenarios: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def only(self, trials: list[Trial]) -> "Prepared":
        """The same for some of its trials alone."""
        references = {setup: self.references[setup] for setup in dict.fromkeys(trial.setup for trial in trials)}
        recordings = self.recordings if any(kind_of(trial.fault).cuts_power for trial in trials) else {}
        names = {trial.scenario for trial in trials}
        scenarios = {name: said for name, said in self.scenarios.items() if name in names}
        return replace(self, trials=trials, references=references, recordings=recordings, scenarios=scenarios)

    @property
    def kernel(self) -> str:
        """The release of the kernel that the machines ran; "": not recorded."""
        return next((evidence.kernel for evidence in self.references.values() if evidence.kernel), "")

    def store(self, out: Path) -> None:
        """Keep it in a run's directory, in the place of all that an earlier run has left there.

        What is there stays until all that is new has been written. Raises UsageError when two trials have one id,
        HostError when the disk takes no more.
        """
        plan.refuse_doubles(self.trials)
        with disk_errors(out):
            out.mkdir(parents=True, exist_ok=True)
            whole = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=out))
        try:
            self._write(whole)
            clear(out, but=whole)
            for directory in (EVIDENCE, RECORDINGS):
                (out / directory).mkdir(exist_ok=True)
                for path in sorted((whole / directory).glob("*")):
                    path.replace(out / directory / path.name)
            # Last: a directory with a plan has all that the plan needs.
            for path in (whole / SCENARIOS, whole / PLAN):
                if path.exists():
                    path.replace(out / path.name)
        finally:
            shutil.rmtree(whole, ignore_errors=True)

    def _write(self, out: Path) -> None:
        for number, (setup, evidence) in enumerate(self.references.items()):
            about = {"setup": setup.as_json(), "accel": self.accel}
            path = out / EVIDENCE / f"reference-{number}.json.gz"
            _write(path, evidence, driver=self.driver, adapter=self.adapter, **about)
        for name, recorded in self.recordings.items():
            recorded.store(out / RECORDINGS / name)
        if self.scenarios:
            write_text(out / SCENARIOS, json.dumps(self.scenarios, indent=1) + "\n")
        plan.write(out / PLAN, self.trials)


def clear(out: Path, but: Path | None = None) -> None:
    """Remove what a run has left in its directory, and nothing else; also what a killed one left unfinished.

    Its results go first: what is killed here leaves no results beside the plan or the evidence of another run.
    """
    for name in (*REPORTS, PLAN, SCENARIOS):
        if name != "README.md" or _is_ours(out / name):
            (out / name).unlink(missing_ok=True)
    for directory, pattern in ((EVIDENCE, "*.json.gz"), (RECORDINGS, "*.gz"), (ERRORS, "*.txt")):
        for path in (out / directory).glob(pattern):
            path.unlink(missing_ok=True)
    sweep_up(out, but)
    if (out / COLD).is_dir():
        clear(out / COLD)
    for directory in (EVIDENCE, RECORDINGS, ERRORS, COLD):
        with suppress(OSError):  # somebody has put something of his own there
            (out / directory).rmdir()


def sweep_up(out: Path, but: Path | None = None) -> None:
    """Remove what killed writers have left unfinished in a run's directory."""
    for place in (out, out / EVIDENCE, out / RECORDINGS, out / ERRORS):
        sweep(place, but)


def _is_ours(readme: Path) -> bool:
    """Whether a README.md is one that `crashinit report --readme` has written."""
    try:
        with readme.open("rb") as file:
            return file.readline(1000).endswith(b": what its init makes of crashes\n")
    except OSError:
        return False


def adapter_digest(adapter: Adapter) -> str:
    """A short value that is another one when an adapter says something else; where its file lies is no matter."""
    return digest(adapter.model_dump_json(exclude={"base"}))


def read_prepared(out: Path) -> Prepared:
    """What `Prepared.store` kept in a run's directory. Raises UsageError when it lacks a part, or one is damaged."""
    trials = plan.read(out / PLAN)
    references: dict[Setup, Evidence] = {}
    accel = driver = adapter = ""
    again = "run the scenarios again"
    for path in sorted((out / EVIDENCE).glob("reference-*.json.gz")):
        if not _REFERENCE.fullmatch(path.name.removesuffix(".json.gz")):
            continue  # a trial of a scenario with such a name
        evidence, facts = _read(path, again)
        with damage(path, again):
            setup = Setup.from_json(facts["setup"])
            accel, driver, adapter = (str(facts.get(key, "")) for key in ("accel", "driver", "adapter"))
        if setup in references:
            raise UsageError(f"'{out / EVIDENCE}' holds two references for one setup, '{setup.given}': {again}.")
        references[setup] = evidence
    missing = {trial.setup for trial in trials} - set(references)
    if missing:
        raise UsageError(f"'{out / EVIDENCE}' lacks the reference that its plan needs: {again}.")
    recordings = {path.name: InFile(path) for path in (out / RECORDINGS).glob("*.gz")}
    return Prepared(trials, references, accel, [], recordings, driver, adapter, _scenarios(out / SCENARIOS, again))


def _scenarios(path: Path, again: str) -> dict[str, Mapping[str, Any]]:
    try:
        with damage(path, again):
            return {str(name): dict(said) for name, said in parsed(text(path)).items()}
    except FileNotFoundError:
        return {}


def store(out: Path, name: str, evidence: Evidence) -> None:
    """Keep a trial's evidence, so that the run can be judged again without a machine. Raises HostError."""
    _write(_evidence(out, name), evidence)


def stored(out: Path, name: str) -> Evidence:
    """The evidence that `store` kept. Raises FileNotFoundError when there is none, UsageError when it is damaged."""
    return _read(_evidence(out, name), "run its trial again")[0]


def store_error(out: Path, name: str, said: str) -> Path:
    """Keep what is known of an error of the harness: its traceback. The file, below the run's directory."""
    path = out / ERRORS / f"{file_name(name)}.txt"
    write_text(path, said)
    return path


def file_name(name: str) -> str:
    """A trial's id as the name of a file, without its ending: no two ids have one, and no id is too long.

    A slash becomes `~`, a byte that no file's name should hold `=XX`; of a long name a digest stands for the rest.
    """
    data = name.encode("utf-8", "surrogatepass")
    found = "".join(_as_is(byte) or f"={byte:02X}" for byte in data)
    if found.startswith(".") or _REFERENCE.fullmatch(found):
        found = f"={data[0]:02X}{found[1:]}"
    return found if len(found) <= NAME_LIMIT else f"{found[:NAME_LIMIT]}~{digest(data)}"


def _as_is(byte: int) -> str:
    if byte == ord("/"):
        return "~"
    return chr(byte) if 32 <= byte < 127 and chr(byte) not in "~=" else ""


def _evidence(out: Path, name: str) -> Path:
    return out / EVIDENCE / f"{file_name(name)}.json.gz"


def _write(path: Path, evidence: Evidence, **facts: object) -> None:
    with replacing(path) as target, gzip.open(target, "wb", compresslevel=3) as file:
        file.write(json.dumps({**facts, "evidence": evidence.model_dump()}).encode())


def _read(path: Path, remedy: str) -> tuple[Evidence, dict[str, Any]]:
    """Evidence, and the facts that were stored with it. `remedy`: what to do where it is damaged."""
    with damage(path, remedy):
        data = parsed(inflated(path))
        return Evidence.model_validate(data.pop("evidence")), data
