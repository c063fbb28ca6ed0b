"""Clauses on the base device: its record, its file system, its use."""

from collections import Counter

from crashinit.contract.case import Case
from crashinit.contract.formats import BASE, DEVICESET
from crashinit.contract.verdict import Settled, Verdict


def ids_agree(case: Case) -> Verdict:
    """The thin ids in the pool's metadata are those in the driver's metadata, each recorded once.

    Source: thin-provisioning.rst, 'create_thin': ids are chosen by userland, which alone can tell what each is for.
    """
    after = case.after("pool", "metadata")
    metadata = case.readable_metadata(after)
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
    metadata = case.metadata(case.after("metadata"))
    base = metadata.base
    if base is None:
        file = f"{case.expectation.metadata_dir}/{BASE}"
        return Verdict("fail", metadata.unreadable.get(file, "the base is not recorded"))
    findings = [] if base.initialized else ["the base is recorded as not initialised"]
    if base.deleted:
        findings.append("the base is recorded as deleted")
    if base.size != case.expectation.base_size:
        findings.append(f"the base is recorded with {base.size} bytes, not {case.expectation.base_size}")
    return Verdict.of(findings)


def base_clean(case: Case) -> Verdict:
    """The base's file system is of the configured type, its UUID is the recorded one, and a read-only check is clean.

    Source: blkid(8), "--probe"; e2fsck(8), "-n" and exit status; xfs_repair(8), "-n".
    """
    after = case.after("base", "metadata")
    base = after.base
    if base is None:
        return Verdict("fail", "there is no base to look at")
    findings: list[str] = []
    if not base.fstype:
        findings.append("the base holds no file system")
    elif base.fstype != case.expectation.fstype:
        findings.append(f"the base's file system is '{base.fstype}', not '{case.expectation.fstype}'")
    if base.fstype and base.check_exit != 0:
        said = (base.check_output.strip().splitlines() or ["it wrote nothing"])[-1].strip()
        command = " ".join(base.check_argv[:1]) or "the check"
        findings.append(f"'{command}' ended with exit status {base.check_exit}: '{said}'")
    if findings:
        return Verdict.of(findings)
    metadata = case.metadata(after)
    if not metadata.keeps_uuid:
        return Verdict("pass")
    if not metadata.base_uuid:
        file = f"{case.expectation.metadata_dir}/{DEVICESET}"
        return Verdict("fail", metadata.unreadable.get(file, f"the base's UUID '{base.uuid}' is not recorded"))
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
        case.only_if_recovered("the base was not tried")
        raise Settled.unseen("the base was not tried")
    if exercise.ok:
        return Verdict("pass")
    return Verdict("fail", f"a snapshot of the base failed at '{exercise.stage}': {exercise.message}")
