"""What a volume owes beyond the core."""

from crashinit.contract.case import Case
from crashinit.contract.verdict import Verdict
from crashinit.model.observation import Volume


def volume_there(case: Case) -> Verdict:
    """After init the base is where the adapter says: mounted, or a device, with the configured type, and on the root.

    A directory that lies on the machine's own disk, because nothing is mounted there, is no volume.
    Source: proc(5), mountinfo; BTRFS_FIRST_FREE_OBJECTID in include/uapi/linux/btrfs_tree.h for a subvolume's inode.
    """
    case.demand_completion()
    findings = _lacking(next((one for one in case.after("volumes").volumes if one.name == "base"), None), case)
    if not findings and case.evidence.after_again is not None:
        again = next((one for one in case.after_again("volumes").volumes if one.name == "base"), None)
        findings = [f"after one more init {finding}" for finding in _lacking(again, case)]
    return Verdict.of(findings)


def _lacking(base: Volume | None, case: Case) -> list[str]:
    if base is None or not base.place:
        return ["the volume 'base' is not there"]
    if not base.device:
        return [f"nothing of the driver's is mounted at '{base.place}'"]
    findings = []
    if base.fstype != case.expectation.fstype:
        findings.append(f"the volume 'base' is of type '{base.fstype}', not '{case.expectation.fstype}'")
    if case.expectation.subvolume and not base.subvolume:
        findings.append(f"'{base.place}' is no subvolume of its own")
    return findings
