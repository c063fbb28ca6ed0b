"""The story of a trial, from its evidence: what init did until it was struck, what the next one did and what a healthy
one does beside that, what is left, and what should be there."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from crashinit import families
from crashinit.adapters import Adapter
from crashinit.contract.recovery import compared
from crashinit.contract.said import ending, succeeded
from crashinit.model.events import TrialResult
from crashinit.model.fault import kind_of
from crashinit.model.observation import DmDevice, Evidence, Observation, OperationRecord, Run, Uevent
from crashinit.model.operations import READS, uncounted
from crashinit.model.trial import INIT, Trial
from crashinit.report.again import COLD, bundle, replay
from crashinit.report.strike import sentence
from crashinit.report.words import many

SAID = 12  # lines of what an init printed that are told
LOGGED = 40  # lines of the kernel's log that are told
ARGUMENT = 160  # characters of an operation's arguments that are told
# What of an operation's arguments its key does not say already; the rest are numbers of system calls
TOLD = (
    "argv",
    "from",
    "backing",
    "target",
    "table",
    "message",
    "offset",
    "size",
    "source",
    "fstype",
    "status",
    "change",
)


@dataclass(frozen=True)
class Line:
    """One operation, or one event of the kernel or of udevd between two."""

    seconds: float  # since the run began
    number: int | None  # of the operation; None: an event
    what: str
    about: str = ""  # its arguments
    struck: bool = False  # the fault struck here


@dataclass(frozen=True)
class Init:
    """One init after the fault."""

    name: str  # "re-init 1"
    ended: str  # how, and why, as a sentence
    ok: bool
    seconds: float
    lines: Sequence[Line]
    missing: Sequence[str]  # operations that an init without faults does and this one did not
    beside: Sequence[str]  # operations of this one that an init without faults does not do
    said: Sequence[str]  # the end of what it printed


@dataclass(frozen=True)
class Fact:
    """One fact of the state that is not as after an init without faults; None: there is no such fact."""

    path: str
    found: str | None
    healthy: str | None


@dataclass(frozen=True)
class Broken:
    """One clause that failed: what it requires, and what was found."""

    clause: str
    name: str
    rule: str
    found: str


@dataclass(frozen=True)
class Story:
    """All that is told of one trial."""

    id: str
    struck: str  # what was done, as a sentence
    before: Sequence[Line]  # until the fault struck
    after: Sequence[Line]  # what that init did after it, if it went on
    ended: str  # how that init ended
    inits: Sequence[Init]
    broken: Sequence[Broken]
    facts: Sequence[Fact]
    devices: Sequence[str]  # what is left, as a tree
    log: Sequence[str]  # the kernel's
    dropped: int  # lines of it that are not told
    commands: Mapping[str, str] = field(default_factory=dict)  # what for -> what to type


def story(
    result: TrialResult,
    evidence: Evidence,
    healthy: Evidence | None,
    adapter: Adapter | None,
    trial: Trial | None,
    directory: Path,
) -> Story:
    """The story of a trial. `healthy`: an init without faults; without it, or the adapter, no state is compared."""
    run = evidence.fault_run
    cut = evidence.fired.n if evidence.fired is not None else len(run.operations)
    operations = list(_lines(run, evidence.fired))
    at = next((i for i, line in enumerate(operations) if line.struck), len(operations) - 1)
    goes_on = kind_of(result.fault).goes_on
    log = evidence.after.kernel_log if evidence.after is not None else []
    return Story(
        id=result.id,
        struck=sentence(result, evidence),
        before=operations[: at + 1],
        after=[line for line in operations[at + 1 :] if line.number is None or line.number > cut] if goes_on else [],
        ended=f"It {ending(run)}." if goes_on else "",
        inits=[*_inits(evidence.reinits, healthy)],
        broken=[*_broken(result)],
        facts=_facts(evidence, healthy, adapter, trial),
        devices=[] if evidence.after is None else [*tree(evidence.after)],
        log=log[-LOGGED:],
        dropped=max(0, len(log) - LOGGED),
        commands=commands(result, directory),
    )


def commands(result: TrialResult, directory: Path) -> dict[str, str]:
    """What to type to see it again: what for, and the command."""
    again = replay(result, directory)
    if not again:
        return {}
    found = {"the trial again": again}
    if not kind_of(result.fault).cuts_power:
        found["a shell at that moment"] = f"{again} --shell"
    found["the same from a cold boot"] = replay(result, directory, COLD)
    if result.outcome == "diverged" and (packed := bundle(result, directory)):
        found["one archive of it, for a bug report"] = packed
    return found


def rule(clause: str) -> str:
    """What a clause requires, as one paragraph; "" of one that this version does not know."""
    known = families.clauses().get(clause)
    return " ".join((known.judge.__doc__ or "").split("\n\n")[0].split("Source:")[0].split()) if known else ""


def tree(state: Observation) -> Iterator[str]:
    """The block devices that are left, each with those that it stands on below it, and what else holds on to them."""
    below = {device.device: _slaves(device, state) for device in state.dm}
    used = {slave for slaves in below.values() for slave in slaves}
    names = {device.device: _dm_line(device) for device in state.dm}
    names |= {
        loop.device: f"{loop.name} ({loop.device})  {loop.backing_file}{' (deleted)' if loop.backing_deleted else ''}"
        f"{'  autoclear' if loop.autoclear else ''}"
        for loop in state.loops
    }
    for device in sorted(names.keys() - used, key=lambda number: (number not in below, names[number])):
        yield from _branch(device, names, below, "")
    for mount in state.mounts:
        yield f"mount  {mount.source} on {mount.target}, {mount.fstype}"
    for stale in sorted(set(state.mapper_nodes) - {device.name for device in state.dm}):
        yield f"node  /dev/mapper/{stale} without a device"
    if state.semaphores:
        yield f"{many(len(state.semaphores), 'udev semaphore')}"
    for process in state.processes:
        yield f"process  {process.pid} {' '.join(process.argv) or process.name}"


def _branch(device: str, names: Mapping[str, str], below: Mapping[str, Sequence[str]], indent: str) -> Iterator[str]:
    yield f"{indent}{names.get(device, device)}"
    for slave in below.get(device, ()):
        yield from _branch(slave, names, below, f"{indent}  ")


def _slaves(device: DmDevice, state: Observation) -> list[str]:
    """The devices that its tables name, by their numbers or by their nodes."""
    known = {other.device: other.device for other in state.dm} | {loop.device: loop.device for loop in state.loops}
    known |= {f"/dev/mapper/{other.name}": other.device for other in state.dm}
    words = [word for line in device.live_table for word in line.split()[3:]]
    return [known[word] for word in dict.fromkeys(words) if word in known and known[word] != device.device]


def _dm_line(device: DmDevice) -> str:
    table = "; ".join(device.live_table) or "no table"
    return f"{device.name} ({device.device})  {table}{'  suspended' if device.suspended else ''}"


def _lines(run: Run, fired: OperationRecord | None = None) -> Iterator[Line]:
    """Operations and events in their order."""
    events: list[OperationRecord | Uevent] = [*run.operations, *run.uevents]
    for event in sorted(events, key=lambda each: (each.seconds, isinstance(each, Uevent))):
        if isinstance(event, Uevent):
            yield Line(event.seconds, None, f"{event.source}: {event.action} {event.sysname}", event.dm_name)
        else:
            struck = fired is not None and event.n == fired.n
            yield Line(event.seconds, event.n, event.key, _about(event), struck)


def _about(operation: OperationRecord) -> str:
    said = [operation.detail[key] if key in ("argv", "table", "message") else f"{key} {operation.detail[key]}"
            for key in TOLD if operation.detail.get(key)]  # fmt: skip
    text = ", ".join(said)
    return text if len(text) <= ARGUMENT else f"{text[:ARGUMENT]}..."


def _inits(runs: Sequence[Run], healthy: Evidence | None) -> Iterator[Init]:
    """The inits after the fault; those in a row that did the same and ended alike are told once."""
    usual = Counter[str]() if healthy is None else _done(_whole_init(healthy))
    number = 1
    for _, group in groupby(runs, key=lambda run: (ending(run), _done(run))):
        alike = list(group)
        run, last = alike[0], number + len(alike) - 1
        own = _done(run)
        yield Init(
            name=_called(number, last, len(runs)),
            ended=f"It {ending(run)}." if len(alike) == 1 else f"Each {ending(run)}.",
            ok=succeeded(run),
            seconds=run.seconds,
            lines=[*_lines(run)],
            missing=_counted(usual - own),
            beside=_counted(own - usual) if healthy is not None else [],
            said=[line for line in (run.stderr.strip() or run.stdout.strip()).splitlines() if line.strip()][-SAID:],
        )
        number = last + 1


def _whole_init(healthy: Evidence) -> Run:
    return healthy.fault_run if healthy.during == INIT or not healthy.reinits else healthy.reinits[0]


def _called(first: int, last: int, count: int) -> str:
    if count == 1:
        return "the next init"
    return f"init {first} of {count} after it" if first == last else f"inits {first} to {last} of {count} after it"


def _done(run: Run) -> Counter[str]:
    """What it did, without what only asks, and however often the same was done: the names of devices count."""
    return Counter(uncounted(operation.key) for operation in run.operations if operation.kind not in READS)


def _counted(operations: Counter[str]) -> list[str]:
    return [key if times == 1 else f"{key} ({times} times)" for key, times in operations.items()]


def _broken(result: TrialResult) -> Iterator[Broken]:
    known = families.clauses()
    for clause, status in sorted(result.clauses.items()):
        if status == "fail":
            name = known[clause].name if clause in known else ""
            yield Broken(clause, name, rule(clause), result.clause_reasons.get(clause, ""))


def _facts(evidence: Evidence, healthy: Evidence | None, adapter: Adapter | None, trial: Trial | None) -> list[Fact]:
    if evidence.after is None or healthy is None or healthy.after is None or adapter is None or trial is None:
        return []
    expectation = adapter.expectation(trial.setup.options, trial.setup.deadline)
    found = compared(expectation, adapter.kind, evidence.after, healthy.after, "C13")
    return [Fact(difference.path, difference.here, difference.there) for difference in found]
