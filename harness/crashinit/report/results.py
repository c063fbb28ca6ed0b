"""The lasting record of a run: run.json at its start, and a line of results.jsonl as each trial ends.

Every other report is made from these files, so a run that was killed, or that comes from another host, can be
reported like any other.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator

from crashinit.contract import VERSION
from crashinit.errors import UsageError
from crashinit.files import refused
from crashinit.files.safe import disk_errors, parsed, text, write_text
from crashinit.model.events import (
    OUTCOMES,
    Event,
    RunExtended,
    RunFinished,
    RunShortened,
    RunStarted,
    TrialConfirmed,
    TrialFinished,
    TrialResult,
)
from crashinit.report.again import replay

RESULTS = "results.jsonl"
RUN = "run.json"


@dataclass(frozen=True)
class RunRecord:
    """One run as its directory tells it. Every trial occurs once: a later result replaces an earlier one."""

    driver: str
    provider: str
    accel: str
    started: str  # ISO 8601, UTC; "" when the directory has no run.json
    planned: list[str]  # ids
    left_out: list[str]
    mask: list[str]  # differences that clause C13 allows, as sentences
    clause_names: dict[str, str]  # "C01" -> "init-succeeds"
    seconds: float | None  # None: the run was killed, or is still going on
    interrupted: bool
    results: list[TrialResult]
    contract: int = 1  # its version, by which the results were judged; 1 where the directory does not say
    narrowed: bool | None = None  # whether only a part of what there is was asked for; None: not recorded
    select: str = ""  # the expression of '-k' that chose the trials; "": there was none, or it is not recorded
    time: str = ""  # what the machines' clocks followed: "real", "virtual" or "mixed"; "": not recorded
    guest: str = ""  # what the machines ran; "": not recorded
    kernel: str = ""  # the release of its kernel; "": not recorded
    shard: str = ""  # which share of the plan it is, "2/5"; "": the whole

    @property
    def not_run(self) -> list[str]:
        """The planned trials that have no result, in the plan's order."""
        done = {result.id for result in self.results}
        return [trial for trial in self.planned if trial not in done]


class ResultsLog:
    """A listener that writes each trial's result the moment it is known, so a SIGKILL loses only running trials.

    With `resume` the results that `out` already holds stay; else an existing results.jsonl is replaced.
    Raises UsageError when a run is resumed with another driver or provider.
    """

    def __init__(
        self,
        out: Path,
        *,
        mask: Sequence[str] = (),
        clause_names: Mapping[str, str] | None = None,
        resume: bool = False,
    ) -> None:
        self._out = out
        self._mask = list(mask)
        self._clause_names = dict(clause_names or {})
        self._resume = resume
        self._facts: dict[str, Any] = {}
        self._file: FileIO | None = None
        self._doubled = False  # some trial has two lines

    @property
    def started(self) -> bool:
        """Whether the directory holds this run, so that there is something to report."""
        return bool(self._facts)

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case RunExtended():
                self._facts["planned"] = list(dict.fromkeys([*self._facts["planned"], *event.trials]))
                self._facts["left_out"] = [*self._facts["left_out"], *event.left_out]
                write_text(self._out / RUN, dump(self._facts))
            case RunShortened():
                gone = set(event.trials)
                self._facts["planned"] = [trial for trial in self._facts["planned"] if trial not in gone]
                self._facts["left_out"] = [*self._facts["left_out"], *event.left_out]
                self._facts["narrowed"] = True
                write_text(self._out / RUN, dump(self._facts))
            case TrialFinished(result) | TrialConfirmed(result) if self._file is not None:
                self._append(self._file, result)
                self._doubled |= isinstance(event, TrialConfirmed)
            case RunFinished() if self._file is not None:
                self._finish(event)
            case _:
                pass

    def _start(self, event: RunStarted) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        earlier = _facts(self._out) if self._resume else {}
        for key, now in (("driver", event.driver), ("provider", event.provider), ("guest", event.guest)):
            if earlier.get(key, now) not in (now, ""):
                raise UsageError(
                    f"'{self._out}' holds a run with {key} '{earlier[key]}', not '{now}': resume it with that {key}, "
                    "or give another '--out'."
                )
        self._facts = {
            "driver": event.driver,
            "provider": event.provider,
            "accel": event.accel,
            "time": event.time,
            "guest": event.guest,
            "kernel": event.kernel or earlier.get("kernel", ""),
            "shard": event.shard,
            "started": earlier.get("started") or datetime.now(UTC).isoformat(timespec="seconds"),
            "planned": list(dict.fromkeys([*earlier.get("planned", []), *event.trials])),
            "left_out": list(dict.fromkeys([*earlier.get("left_out", []), *event.left_out])),
            "contract": earlier.get("contract", 1) if earlier else VERSION,  # what is there was judged by that one
            "narrowed": event.narrowed,
            "select": _either(earlier.get("select", ""), event.select) if earlier else event.select,
            "mask": self._mask,
            "clause_names": self._clause_names,
            "earlier_seconds": (earlier.get("earlier_seconds") or 0.0) + (earlier.get("seconds") or 0.0),
            "seconds": None,
            "interrupted": False,
        }
        path = self._out / RESULTS
        if self._resume:
            drop_torn_line(path)
        write_text(self._out / RUN, dump(self._facts))
        with disk_errors(self._out):
            if not self._resume:
                path.write_bytes(b"")
            self._file = FileIO(path, "a")

    def _append(self, file: FileIO, result: TrialResult) -> None:
        """One line, whole or not at all. Raises HostError when the disk takes no more."""
        before = os.fstat(file.fileno()).st_size
        line = memoryview(_line(result, self._out).encode())
        try:
            with disk_errors(self._out):
                while line:
                    line = line[file.write(line) :]
        except BaseException:
            os.ftruncate(file.fileno(), before)
            raise

    def _finish(self, event: RunFinished) -> None:
        assert self._file is not None
        self._file.close()  # nothing of it waits in a buffer
        self._file = None
        if self._doubled:
            self._settle()
        self._facts |= {"seconds": round(event.seconds, 3), "interrupted": event.interrupted}
        write_text(self._out / RUN, dump(self._facts))

    def _settle(self) -> None:
        """One line a trial: of one that was tried again, the last."""
        path = self._out / RESULTS
        lines = {json.loads(line)["id"]: line for line in path.read_text(encoding="utf-8").splitlines()}
        write_text(path, "".join(f"{line}\n" for line in lines.values()))


def read(out: Path) -> RunRecord:
    """Read a run's directory. A torn last line, as a SIGKILL leaves it, is passed over.

    Raises UsageError when there is no results.jsonl, or a line of it is not a trial's result.
    """
    path = out / RESULTS
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"'{out}' holds no '{RESULTS}': name the directory that a run has written.") from error
    results: dict[str, TrialResult] = {}
    lines = data.split(b"\n")[:-1]  # what follows the last line feed is torn, or nothing
    for number, line in enumerate(lines, 1):
        result = _parse(line, f"{path}:{number}")
        results.pop(result.id, None)
        results[result.id] = result
    facts = _facts(out)
    first = next(iter(results.values()), None)
    seconds = facts.get("seconds")
    return RunRecord(
        driver=facts.get("driver") or (first.driver if first else ""),
        provider=facts.get("provider", ""),
        accel=facts.get("accel", ""),
        started=facts.get("started", ""),
        planned=facts.get("planned") or list(results),
        left_out=facts.get("left_out", []),
        mask=facts.get("mask", []),
        clause_names=facts.get("clause_names", {}),
        seconds=None if seconds is None else seconds + (facts.get("earlier_seconds") or 0.0),
        interrupted=bool(facts.get("interrupted", False)),
        results=list(results.values()),
        contract=facts.get("contract", 1),
        narrowed=facts.get("narrowed"),
        select=facts.get("select", ""),
        time=facts.get("time", ""),
        guest=facts.get("guest", ""),
        kernel=facts.get("kernel", ""),
        shard=facts.get("shard", ""),
    )


def rewrite(out: Path, results: Iterable[TrialResult], mask: Sequence[str], clause_names: Mapping[str, str]) -> None:
    """Replace a run's results, and what its record says of the contract that they were judged by."""
    write_text(out / RESULTS, "".join(_line(result, out) for result in results))
    judged_by = {"contract": VERSION, "mask": list(mask), "clause_names": dict(clause_names)}
    write_text(out / RUN, dump({**_facts(out), **judged_by}))


def write(out: Path, run: RunRecord) -> None:
    """Write a run's record and results as `read` finds them."""
    write_text(out / RUN, dump({key: value for key, value in vars(run).items() if key != "results"}))
    write_text(out / RESULTS, "".join(_line(result, out) for result in run.results))


def finished_ids(out: Path) -> frozenset[str]:
    """The trials that a resumed run need not do again: all with a result, but for the harness's own errors."""
    if not (out / RESULTS).exists():
        return frozenset()
    return frozenset(result.id for result in read(out).results if result.outcome != "error")


def drop_torn_line(path: Path) -> None:
    """Cut off what follows the last line feed, so that the next line begins a line of its own."""
    if path.exists():
        data = path.read_bytes()
        os.truncate(path, data.rfind(b"\n") + 1)


def _either(first: str, second: str) -> str:
    """The selection of a run that was gone on with: what one of the two chooses; "" chooses all."""
    if first == second or not (first and second):
        return first and second
    return f"({first}) or ({second})"


def _line(result: TrialResult, out: Path) -> str:
    """A line of the results in that directory; its `replay` names the run, as every other report does."""
    return json.dumps(replace(result, replay=replay(result, out)).as_json()) + "\n"


def dump(data: Mapping[str, Any]) -> str:
    """A JSON object as it lies in a run's directory."""
    return json.dumps(data, indent=2) + "\n"


class _Facts(BaseModel):
    """What run.json may hold; a later version may write more."""

    model_config = ConfigDict(extra="allow", strict=True)

    driver: str = ""
    provider: str = ""
    accel: str = ""
    started: str = ""
    planned: list[str] = []
    left_out: list[str] = []
    mask: list[str] = []
    clause_names: dict[str, str] = {}
    select: str = ""
    time: str = ""
    guest: str = ""
    kernel: str = ""
    seconds: float | None = None
    earlier_seconds: float | None = None
    interrupted: bool = False

    @field_validator("started")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        try:
            if value:
                datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"'started' is '{value}', but must be a time as ISO 8601 has it") from None
        return value


def _facts(out: Path) -> dict[str, Any]:
    path = out / RUN
    try:
        data = parsed(text(path))
        _Facts.model_validate(data)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UsageError(
            f"'{path}' is damaged: {_first(error)}: remove it, and '{RESULTS}' alone is reported."
        ) from error
    return dict(data)


def _first(error: ValueError) -> str:
    """What is wrong, in a few words: of several faults the first."""
    return refused.sentence(refused.first(error)).rstrip(".") if isinstance(error, ValidationError) else str(error)


_RESULT = TypeAdapter(TrialResult)


def _parse(line: bytes, where: str) -> TrialResult:
    names = {item.name for item in fields(TrialResult)}
    try:
        # A later version may write more keys than this one knows.
        data = {key: value for key, value in parsed(line).items() if key in names}
        if data.get("outcome", "converged") not in OUTCOMES:
            raise UsageError(
                f"{where}: the outcome is '{data['outcome']}', but may only be one of {', '.join(OUTCOMES)}."
            )
        return _RESULT.validate_python(data)
    except (ValueError, TypeError, AttributeError) as error:
        said = _first(error) if isinstance(error, ValueError) else "it is no object"
        raise UsageError(f"{where}: not a trial's result: {said}") from error
