"""The clause on what a power cut may not take."""

from crashinit.contract.case import Case
from crashinit.contract.data import PARTS, volumes_lost
from crashinit.contract.expectation import NO_FORMAT
from crashinit.contract.formats import DriverMetadata
from crashinit.contract.recovery import runs_mkfs
from crashinit.contract.said import succeeded
from crashinit.contract.verdict import NotApplicableError, Verdict
from crashinit.model.fault import kind_of
from crashinit.model.observation import Observation


def durable(case: Case) -> Verdict:
    """What init had reported as done is still there after a power cut: the base, its identity, devices and records.

    Source: fsync(2), which is owed to a file's data and, for its name, to the directory as well.
    """
    evidence = case.evidence
    if not kind_of(evidence.fault).cuts_power:
        raise NotApplicableError("the power was not cut")
    if not succeeded(evidence.fault_run):
        raise NotApplicableError("init had not reported success when the power was cut")
    promised, after = case.fault_free(*PARTS), case.after(*PARTS)
    findings = [
        f"after the power cut init ran '{operation.object}' again"
        for run in evidence.reinits
        for operation in run.operations
        if runs_mkfs(operation)
    ]
    if promised.base is not None:
        uuid = after.base.uuid if after.base else ""
        if uuid != promised.base.uuid:
            findings.append(f"the base's UUID was '{promised.base.uuid}' and is '{uuid}'")
    if case.expectation.metadata_format != NO_FORMAT:
        findings += _judge_records(case.readable_metadata(promised), case.metadata(after))
    findings += _judge_thins(promised, after) + volumes_lost(promised, after)
    if not findings and promised.base is None and not promised.volumes:
        raise NotApplicableError("the base was not active after init and nothing records which thin device it is")
    return Verdict.of(findings)


def _judge_records(then: DriverMetadata, now: DriverMetadata) -> list[str]:
    findings = list(now.unreadable.values())
    for name, device in then.devices.items():
        kept = now.devices.get(name)
        if kept is None:
            findings.append(f"the record of '{name}' is gone")
        elif (kept.device_id, kept.size, kept.initialized) != (device.device_id, device.size, device.initialized):
            findings.append(f"the record of '{name}' has changed")
    if now.base_uuid != then.base_uuid:
        findings.append(f"the recorded UUID was '{then.base_uuid}' and is '{now.base_uuid}'")
    return findings


def _judge_thins(promised: Observation, after: Observation) -> list[str]:
    """The thin devices, and where they were read the data of all but the base, which each start writes to."""
    if promised.pool is None:
        return []
    present = {thin.id: thin for thin in after.pool.thin_devices} if after.pool else {}
    findings = []
    for thin in promised.pool.thin_devices:
        kept = present.get(thin.id)
        if kept is None:
            findings.append(f"thin id {thin.id} is gone from the pool")
        elif thin.id != promised.base_id and thin.digest != kept.digest:
            findings.append(f"the data of thin id {thin.id} has changed")
    return findings
