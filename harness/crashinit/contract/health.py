"""The health of a thin pool, whoever made it: for the families whose drivers have one."""

from crashinit.contract import dmtable
from crashinit.contract.case import Case
from crashinit.contract.names import device_named
from crashinit.contract.said import last_line
from crashinit.contract.verdict import BrokenStateError, Verdict


def pool_healthy(case: Case) -> Verdict:
    """After shutdown `thin_check` finds nothing; while it was live the pool was in mode 'rw' and needed no check.

    Source: thin-provisioning.rst, "Status" ('ro', 'out_of_data_space', 'needs_check', 'Fail'); thin_check(8).
    """
    after = case.after("dm")
    pool = device_named(after, after.pool_name)
    if pool is None:
        raise BrokenStateError(f"there is no pool '{after.pool_name}'")
    findings = _judge_status(pool.status)
    if findings:
        return Verdict.of(findings)
    case.demand_a_shutdown()
    check = case.after_shutdown("thin_check").thin_check
    if check is None:
        return Verdict("fail", "thin_check could not be run after shutdown: the metadata was still in use or is gone")
    if check.exit != 0:
        return Verdict("fail", f"thin_check ended with exit status {check.exit}: '{last_line(check.output)}'")
    return Verdict("pass")


def _judge_status(lines: list[str]) -> list[str]:
    if len(lines) != 1:
        return [f"the pool has {len(lines)} lines of status, not 1"]
    try:
        status = dmtable.read_pool_status(lines[0])
    except dmtable.UnreadableLineError as error:
        return [str(error)]
    findings = [] if status.mode == "rw" else [f"the pool is in mode '{status.mode}', not 'rw'"]
    if status.needs_check:
        findings.append("the pool is marked 'needs_check'")
    return findings
