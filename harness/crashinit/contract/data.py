"""The clause on the users' data."""

from crashinit.contract.case import Case
from crashinit.contract.expectation import NO_FORMAT
from crashinit.contract.formats import BASE, DriverMetadata
from crashinit.contract.verdict import NotApplicableError, NotSeenError, Verdict
from crashinit.model.observation import Observation, ThinDevice

PARTS = ("pool", "metadata", "base", "volumes")


def data_kept(case: Case) -> Verdict:
    """Devices that existed before the fault are there after it and after one more init, data and records byte for byte.
    Of a volume that a user had asked for, what was reported as done is so; else it is there whole, or not at all.

    Of the base it is asked that one which was initialised keeps its id and its UUID: every device is a snapshot of it.
    Source: thin-provisioning.rst, 'delete': "irreversibly", and a discard is no less so.
    """
    if (requested := case.evidence.requested) and not requested.ok:
        return Verdict("fail", f"{requested.stage}: {requested.message}")
    if requested and case.evidence.before is None:
        return Verdict("pass")
    before = case.before(*PARTS)
    then = case.readable_metadata(before) if case.expectation.metadata_format != NO_FORMAT else None
    if before.pool is None and not before.volumes:
        if then and then.devices:
            raise NotSeenError("the pool's devices were not read before the fault, so they cannot be compared")
        raise NotApplicableError("there was no volume before the fault, so there was nothing to keep")
    findings = _losses(case, before, then, case.after(*PARTS))
    if not findings and case.evidence.after_again is not None:
        lost = _losses(case, before, then, case.after_again(*PARTS))
        findings = [f"after one more init {finding}" for finding in lost]
    return Verdict.of(findings)


def _losses(case: Case, before: Observation, then: DriverMetadata | None, after: Observation) -> list[str]:
    """What there was before the fault and is not there any more, or not the same."""
    findings = _judge_base(before, after, then, case.metadata(after) if then else None)
    base_id = then.base.device_id if then and then.base else before.base_id
    present = {thin.id: thin for thin in after.pool.thin_devices} if after.pool else {}
    findings += volumes_lost(before, after)
    for thin in before.pool.thin_devices if before.pool else ():
        if thin.id != base_id:
            findings += _judge_thin(then.name_of(thin.id) if then else f"id {thin.id}", thin, present.get(thin.id))
    for device in then.devices.values() if then else ():
        if device.name != BASE and after.metadata.get(device.path) != before.metadata[device.path]:
            lost = "is gone" if device.path not in after.metadata else "has changed"
            findings.append(f"the record '{device.path}' of device '{device.name}' {lost}")
    return findings


def volumes_lost(before: Observation, after: Observation) -> list[str]:
    """The volumes that were there before and are not, or are others, by name. What was not read is not compared."""
    present = {volume.name: volume for volume in after.volumes}
    findings = []
    for volume in before.volumes:
        now = present.get(volume.name)
        if now is None:
            findings.append(f"volume '{volume.name}' is gone")
            continue
        if now.uuid != volume.uuid:
            findings.append(f"the UUID of volume '{volume.name}' was '{volume.uuid}' and is '{now.uuid}'")
        if volume.digest and not now.digest:
            raise NotSeenError(f"the data of volume '{volume.name}' was not read, so it cannot be compared")
        if volume.digest and now.digest != volume.digest:
            findings.append(f"the data of volume '{volume.name}' has changed")
    return findings


def _judge_thin(name: str, before: ThinDevice, after: ThinDevice | None) -> list[str]:
    if after is None:
        return [f"device '{name}' with thin id {before.id} is gone from the pool"]
    if not before.digest or not after.digest:
        raise NotSeenError(f"the data of device '{name}' was not read, so it cannot be compared")
    return [] if after.digest == before.digest else [f"the data of device '{name}' has changed"]


def _judge_base(
    before: Observation, after: Observation, then: DriverMetadata | None, now: DriverMetadata | None
) -> list[str]:
    if then is None or then.base is None or not then.base.initialized:
        return []
    findings: list[str] = []
    base = now.base if now else None
    if base is None or base.device_id != then.base.device_id:
        where = "is no longer recorded" if base is None else f"has thin id {base.device_id}, not {then.base.device_id}"
        findings.append(f"the base {where}")
    uuid = after.base.uuid if after.base else ""
    if before.base and before.base.uuid != uuid:
        findings.append(f"the base's UUID was '{before.base.uuid}' and is '{uuid}'")
    return findings
