"""Clauses on what must not be there: leftovers, and alarms in the kernel's log."""

import re
import tomllib
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal

from crashinit.contract.case import Case
from crashinit.contract.names import is_own_name, own_devices, own_loops, stand_on
from crashinit.contract.said import ending, quoted, succeeded
from crashinit.contract.tools import is_maker
from crashinit.contract.verdict import Verdict
from crashinit.model.fault import kind_of
from crashinit.model.observation import Evidence, Observation, OperationRecord, Process

PARTS = ("dm", "loops", "mapper_nodes", "files", "mounts", "semaphores", "processes")


def no_leaks(case: Case) -> Verdict:
    """Nothing is left over: no other loop device over the root's files, no dm device of the driver that does not work,
    no stale node, temporary file, mount, udev semaphore or process; and after shutdown nothing of the driver is active.

    Source: LOOP_SET_FD and LOOP_CLR_FD in include/uapi/linux/loop.h; dmsetup(8), "udevcreatecookie"; a dm device
    without a live table is what DM_DEV_CREATE leaves (include/uapi/linux/dm-ioctl.h).
    """
    after = case.after(*PARTS)
    findings = _stale_devices(after, case.held) + case.family.idle_loops(case, after) + _stale_rest(case, after)
    return Verdict.of(findings or _hanging_daemons(case) or _active_after_shutdown(case))


def kernel_quiet(case: Case) -> Verdict:
    """The kernel reports no BUG, WARNING, hung task or I/O error that the fault does not explain.

    Source: kernel_log.toml, which lists the alarms, and the lines that a fault explains, each with its reason.
    """
    observations = [case.after("kernel_log")]
    if case.evidence.after_again is not None:
        observations.append(case.after_again("kernel_log"))
    if case.evidence.after_shutdown is not None:
        observations.append(case.after_shutdown("kernel_log"))
    # The log only grows, so the same line is in each of them; a dict keeps their order.
    lines = dict.fromkeys(line for observation in observations for line in observation.kernel_log)
    explains = _interrupted(case.evidence), _tables(case.evidence), _logged(case.reference)
    return Verdict.of([f"the kernel reported '{quoted(line)}'" for line in lines if is_alarm(line, *explains)])


@dataclass(frozen=True)
class LogPattern:
    """What a line of the kernel log looks like, and what that means."""

    pattern: re.Pattern[str]
    reason: str
    interrupted: re.Pattern[str] | None = None  # of an explained line: a fault came after such an operation had begun
    table: re.Pattern[str] | None = None  # of an explained line: a run loaded such a table


@cache
def log_patterns(kind: Literal["alarm", "explained"]) -> tuple[LogPattern, ...]:
    """The patterns of one kind, as kernel_log.toml states them."""
    entries = tomllib.loads(Path(__file__).with_name("kernel_log.toml").read_text())[kind]
    return tuple(
        LogPattern(
            re.compile(entry["pattern"]),
            entry["reason"],
            *(re.compile(entry[key]) if key in entry else None for key in ("interrupted", "table")),
        )
        for entry in entries
    )


def is_alarm(
    line: str, interrupted: Sequence[OperationRecord] = (), tables: Sequence[str] = (), usual: Sequence[str] = ()
) -> bool:
    """Whether the kernel's line is an alarm that nothing explains.

    A line that can be explained is explained by what the runs did that a fault ended (`interrupted`), by what a run
    asked for (`tables`), or because it comes without a fault as well (`usual`).
    """
    if not any(known.pattern.search(line) for known in log_patterns("alarm")):
        return False
    return not any(
        any(known.interrupted and known.interrupted.search(operation.key) for operation in interrupted)
        or any(known.table and known.table.search(table) for table in tables)
        or any(known.pattern.search(other) for other in usual)
        for known in log_patterns("explained")
        if known.pattern.search(line)
    )


def _logged(evidence: Evidence) -> list[str]:
    """All that the kernel said in a trial."""
    observations = (evidence.after, evidence.after_again, evidence.after_shutdown)
    return [line for observation in observations if observation for line in observation.kernel_log]


def _tables(evidence: Evidence) -> list[str]:
    """The dm tables that the inits loaded."""
    inits = (*evidence.earlier, evidence.fault_run, *evidence.reinits, *filter(None, [evidence.again]))
    return [operation.detail.get("table", "") for run in inits for operation in run.operations]


def _interrupted(evidence: Evidence) -> list[OperationRecord]:
    """The operations of the inits that a fault struck, or that failed."""
    struck = [evidence.fault_run] if evidence.fired else []
    failed = [run for run in (*evidence.earlier, *evidence.reinits) if not succeeded(run)]
    return [operation for run in (*struck, *failed) for operation in run.operations]


def _stale_devices(after: Observation, held: Set[str]) -> list[str]:
    """Devices that do not work. One that somebody else holds loses its node when it is removed, and goes later."""
    findings: list[str] = []
    for device in own_devices(after):
        if not device.live_table:
            findings.append(f"dm device '{device.name}' has no live table")
        if device.inactive_table:
            findings.append(f"dm device '{device.name}' has a table that was loaded and never made live")
        if device.suspended:
            findings.append(f"dm device '{device.name}' is suspended")
        if not device.registered and device.name not in held:
            findings.append(f"dm device '{device.name}' has no node of its own in '/dev/mapper'")
    known = {device.name for device in after.dm}
    return findings + [f"'/dev/mapper/{name}' leads to no device" for name in after.mapper_nodes if name not in known]


def idle_loops(case: Case, after: Observation) -> list[str]:
    """Loop devices over the root's files on which nothing stands, or that show a file which another one shows."""
    findings = []
    loops = own_loops(after)
    for loop in loops:
        twins = [other.name for other in loops if other.backing_file == loop.backing_file and other is not loop]
        if twins and loop.name > twins[0]:
            findings.append(f"'{loop.backing_file}' is attached to '{twins[0]}' and to '{loop.name}'")
        elif not stand_on(after, loop.device):
            findings.append(f"'{loop.name}' is still attached to '{loop.backing_file}', and nothing uses it")
    return findings


def _stale_rest(case: Case, after: Observation) -> list[str]:
    good, before = case.fault_free("mounts", "processes"), case.evidence.before
    findings = [f"temporary file '{entry.path}' is left" for entry in after.files if _is_temporary(entry.path)]
    findings += _stale_mounts(after, _targets(good) | _targets(before), "is still mounted")
    findings += [f"udev semaphore {key:#010x} is left" for key in after.semaphores]
    # A daemon is alive after init, as it should be, with what it needs; a tool that it started is not.
    is_daemon = bool(case.evidence.reinits) and case.evidence.reinits[-1].exit is None
    usual = {process.name for process in good.processes if not is_maker(process.name)} if is_daemon else set()
    findings += [
        f"{_called(process)} still runs" for process in after.processes if process.outside or process.name not in usual
    ]
    return findings


def _hanging_daemons(case: Case) -> list[str]:
    """What a daemon made of SIGTERM ahead of one more init: that is a shutdown, and owes an orderly end."""
    evidence = case.evidence
    # One that an error lasts for may fail at its end as well, but not hang.
    owes_success = not kind_of(evidence.fault).goes_on or evidence.fault_run not in evidence.reinits
    return [
        f"before one more init the daemon {ending(stop)}"
        for stop in evidence.stops
        if stop.timed_out or (owes_success and stop.exit != 0)
    ]


def _stale_mounts(observation: Observation, usual: Counter[str], where: str) -> list[str]:
    """What is mounted on a place more often than usual; the last mount is the one on top."""
    found, findings = Counter[str](), []
    for mount in observation.mounts:
        found[mount.target] += 1
        if found[mount.target] > usual[mount.target]:
            again = "" if found[mount.target] == 1 else f", mount {found[mount.target]} on that place"
            findings.append(f"'{mount.source}' {where} on '{mount.target}'{again}")
    return findings


def _called(process: Process) -> str:
    left = ", which left the driver's control group," if process.outside else ""
    return f"process {process.pid} '{process.name}'{left}"


def _active_after_shutdown(case: Case) -> list[str]:
    case.demand_a_shutdown()
    after = case.after_shutdown(*PARTS)
    shutdown = case.evidence.shutdown
    findings = [f"shutdown {ending(shutdown)}"] if shutdown and (shutdown.timed_out or shutdown.exit != 0) else []
    stays = case.family.stays(case)
    findings += [
        f"dm device '{device.name}' is active after shutdown"
        for device in own_devices(after)
        if device.name not in stays
    ]
    findings += [f"'{loop.name}' is attached to '{loop.backing_file}' after shutdown" for loop in own_loops(after)]
    known = {device.name for device in after.dm}
    findings += [
        f"node '/dev/mapper/{name}' is left after shutdown"
        for name in after.mapper_nodes
        if name not in known and is_own_name(after, name)
    ]
    findings += [f"{finding} after shutdown" for finding in _stale_mounts(after, Counter(), "is mounted")]
    findings += [f"udev semaphore {key:#010x} is left after shutdown" for key in after.semaphores]
    findings += [f"{_called(process)} runs after shutdown" for process in after.processes]
    return findings


def _targets(observation: Observation | None) -> Counter[str]:
    """How often something is mounted on each place."""
    return Counter(mount.target for mount in observation.mounts) if observation else Counter()


def _is_temporary(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.startswith(".tmp") or name.endswith(".tmp")
