"""Clauses on the base device: its record, its file system, its use."""

from collections import Counter

from crashinit.contract.case import Case
from crashinit.contract.formats import BASE, DEVICESET
from crashinit.contract.said import last_line, quoted
from crashinit.contract.verdict import NotApplicableError, NotSeenError, Verdict


def ids_agree(case: Case) -> Verdict:
    """The thin ids in the pool's metadata are those in the driver's metadata, each recorded once.

    Source: thin-provisioning.rst, 'create_thin': ids are chosen by userland, which alone can tell what each is for.
    """
    after = case.after("pool", "metadata")
    metadata = case.readable_metadata(after)
    if after.pool is None and not after.pool_name:
        raise NotApplicableError("the driver's devices have no ids but those in its records")
    if after.pool is None:
        return Verdict("fail", "the pool has no metadata to compare with")
    recorded = Counter(device.device_id for device in metadata.devices.values())
    present = {thin.id for thin in after.pool.thin_devices}
    findings = [f"thin id {n} is recorded for {times} devices" for n, times in sorted(recorded.items()) if times > 1]
    findings += [f"thin id {n} is in the pool but not recorded" for n in sorted(present - recorded.keys())]
    findings += [
        f"thin id {n} of device '{metadata.name_of(n)}' is recorded but not in the pool"
        for n in sorted(recorded.keys() - present)
    ]
    return Verdict.of(findings)


def base_recorded(case: Case) -> Verdict:
    """The base is recorded as initialised, with the configured size.

    Source: the driver's own metadata format; only a complete record lets the next init trust the base.
    """
    case.demand_completion()
    metadata = case.metadata(case.after("metadata"))
    base = metadata.base
    if base is None:
        file = f"{case.expectation.metadata_dir}/{BASE}"
        return Verdict("fail", metadata.unreadable.get(file, "the base is not recorded"))
    findings = [] if base.initialized else ["the base is recorded as not initialised"]
    if base.deleted:
        findings.append("the base is recorded as deleted")
    if case.expectation.base_size and base.size != case.expectation.base_size:
        findings.append(f"the base is recorded with {base.size} bytes, not {case.expectation.base_size}")
    return Verdict.of(findings)


def base_clean(case: Case) -> Verdict:
    """The base's file system is of the configured type, and a read-only check finds nothing.

    Source: blkid(8), "--probe"; e2fsck(8), "-n" and exit status; xfs_repair(8), "-n".
    """
    case.demand_completion()
    base = case.after("base").base
    if base is None:
        return Verdict("fail", "there is no base to look at")
    if not base.fstype:
        return Verdict("fail", "the base holds no file system")
    findings: list[str] = []
    if base.fstype != case.expectation.fstype:
        findings.append(f"the base's file system is '{base.fstype}', not '{case.expectation.fstype}'")
    if base.check_exit != 0:
        command = " ".join(base.check_argv[:1]) or "the check"
        findings.append(f"'{command}' ended with exit status {base.check_exit}: '{last_line(base.check_output)}'")
    if not findings and not base.check_argv:
        raise NotSeenError(f"the harness has no check for the base's file system '{base.fstype}'")
    return Verdict.of(findings)


def base_identity(case: Case) -> Verdict:
    """The base's UUID is the recorded one, and so is its file system's type where that is recorded.

    Source: blkid(8), "--probe"; the driver's own records, which tell this base from that of another pool.
    """
    case.demand_completion()
    after = case.after("base", "metadata")
    metadata = case.metadata(after)
    if not metadata.keeps_uuid:
        raise NotApplicableError("the driver's records have no place for the base's UUID")
    base = after.base
    if base is None or not base.fstype:
        raise NotApplicableError("the base holds no file system, so it has no UUID: that failure is C07's")
    if not metadata.base_uuid:
        file = f"{case.expectation.metadata_dir}/{DEVICESET}"
        return Verdict("fail", metadata.unreadable.get(file, f"the base's UUID '{base.uuid}' is not recorded"))
    findings: list[str] = []
    if metadata.base_uuid != base.uuid:
        findings.append(f"the base's UUID is '{base.uuid}', but '{metadata.base_uuid}' is recorded")
    if metadata.base_fstype not in ("", base.fstype):
        findings.append(f"the base's file system is '{base.fstype}', but '{metadata.base_fstype}' is recorded")
    return Verdict.of(findings)


def base_usable(case: Case) -> Verdict:
    """A snapshot of the base can be made, mounted, written, read back and removed.

    Source: thin-provisioning.rst, 'create_snap'; this is what the base is for.
    """
    exercise = case.evidence.exercise
    if exercise is None:
        case.demand_success("the base was not tried")
        raise NotSeenError("the base was not tried")
    if exercise.ok:
        return Verdict("pass")
    if exercise.unseen:
        raise NotSeenError(f"the harness could not try the base, at '{exercise.stage}': {exercise.message}")
    return Verdict("fail", f"a snapshot of the base failed at '{exercise.stage}': {quoted(exercise.message)}")
