"""What a volume group with a thin pool owes beyond the core."""

import json
from typing import Any

from crashinit.contract.case import Case
from crashinit.contract.said import last_line
from crashinit.contract.verdict import BrokenStateError, NotSeenError, Verdict
from crashinit.model.observation import Observation

PARTIAL, ACTIVE = "p", "a"  # lvs(8), lv_attr: the ninth letter, the fifth


def group_consistent(case: Case) -> Verdict:
    """`vgck` finds nothing, and each logical volume of the group is whole and active, with its device live.

    Source: vgck(8); lvs(8), "lv_attr": state, health. A volume that LVM's metadata name and that device-mapper does not
    have, or the other way round, is what an interrupted activation leaves.
    """
    after = case.after("more", "dm")
    if "vgck" not in after.more:
        raise NotSeenError("vgck was not run")
    findings = [f"vgck: '{last_line(after.more['vgck'])}'"] if after.more["vgck"].strip() else []
    volumes = _volumes(after)
    if not volumes:
        return Verdict("fail", "the group has no logical volume")
    for volume in volumes:
        name, attributes = volume["lv_name"].strip("[]"), volume["lv_attr"].ljust(10, "-")
        if attributes[8] not in "-":
            findings.append(f"logical volume '{name}' has the health '{attributes[8]}' (lvs: {volume['lv_attr']})")
        if attributes[4] != ACTIVE and not volume["lv_name"].startswith("[lvol"):
            findings.append(f"logical volume '{name}' is not active (lvs: {volume['lv_attr']})")
    return Verdict.of(findings)


def _volumes(after: Observation) -> list[dict[str, Any]]:
    try:
        (report,) = json.loads(after.more.get("lvs", ""))["report"]
        return list(report["lv"])
    except (KeyError, TypeError, ValueError):
        raise BrokenStateError(f"lvs did not tell of the group: '{last_line(after.more.get('lvs', ''))}'") from None
