"""The clause on the users' data."""

from crashinit.contract.case import Case
from crashinit.contract.formats import BASE, DriverMetadata
from crashinit.contract.observation import Observation, ThinDevice
from crashinit.contract.verdict import Settled, Verdict


def data_kept(case: Case) -> Verdict:
    """Devices that existed before the fault are there, their data and their records the same byte for byte.

    Of the base it is asked that one which was initialised keeps its id and its UUID: every device is a snapshot of it.
    Source: thin-provisioning.rst, 'delete': "irreversibly", and a discard is no less so.
    """
    before = case.before("pool", "metadata", "base")
    after = case.after("pool", "metadata", "base")
    known = case.expectation.metadata_format != "none"
    then = case.readable_metadata(before) if known else None
    now = case.metadata(after) if known else None
    if before.pool is None:
        if then and then.devices:
            raise Settled.unseen("the pool's devices were not read before the fault, so they cannot be compared")
        raise Settled.not_applicable("there was no pool before the fault, so there was nothing to keep")
    findings = _judge_base(before, after, then, now)
    base_id = then.base.device_id if then and then.base else before.base_id
    present = {thin.id: thin for thin in after.pool.thin_devices} if after.pool else {}
    for thin in before.pool.thin_devices:
        if thin.id != base_id:
            findings += _judge_thin(then.name_of(thin.id) if then else f"id {thin.id}", thin, present.get(thin.id))
    for device in then.devices.values() if then else ():
        if device.name != BASE and after.metadata.get(device.path) != before.metadata[device.path]:
            lost = "is gone" if device.path not in after.metadata else "has changed"
            findings.append(f"the record '{device.path}' of device '{device.name}' {lost}")
    return Verdict.of(findings)


def _judge_thin(name: str, before: ThinDevice, after: ThinDevice | None) -> list[str]:
    if after is None:
        return [f"device '{name}' with thin id {before.id} is gone from the pool"]
    if not before.digest or not after.digest:
        raise Settled.unseen(f"the data of device '{name}' was not read, so it cannot be compared")
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
