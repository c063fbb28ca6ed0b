"""The case reads the driver's metadata in the format that is expected, and every clause on them judges it."""

import json
from typing import Any

import pytest
from crashinit.contract.judge import judge
from crashinit.model.observation import Evidence, Observation

from tests.contract.builder import BASE_SIZE, EXPECTATION, FAMILY, evidence, operation, replace, run

CONTAINERD = EXPECTATION.model_copy(update={"metadata_format": "containerd"})
ACTIVATED = 4
SNAPSHOT = "metadata.db/v1/snapshots/default/{}/{}/id"


def texts(*, base_id: int = 1, state: int = ACTIVATED, size: int = BASE_SIZE, layer: str = "") -> dict[str, str]:
    """What containerd records: the base's device and snapshot, and a layer's with this word as its error."""

    def device(name: str, parent: str, number: int, **fields: Any) -> str:
        return json.dumps({"device_id": number, "name": name, "parent_name": parent, "error": "", **fields})

    return {
        "p.db/devices/p-snap-1": device("p-snap-1", "", base_id, state=state, size=size),
        "p.db/devices/p-snap-2": device("p-snap-2", "p-snap-1", 7, state=ACTIVATED, size=BASE_SIZE, error=layer),
        SNAPSHOT.format(1, "base"): "01",
        SNAPSHOT.format(2, "layer"): "02",
    }


def used(*, fault: str = "kill", **records: Any) -> Evidence:
    """A trial on a root with a layer, in which the states after the fault have these records."""
    good = evidence(user_data=True)
    assert good.before is not None and good.after is not None

    def recorded(observation: Observation, found: dict[str, str]) -> Observation:
        return replace(observation, metadata=found)

    after = recorded(good.after, texts(**records))
    return good.model_copy(
        update={
            "fault": fault,
            "fault_run": run() if fault == "power-cut" else good.fault_run,
            "before": recorded(good.before, texts()),
            "after": after,
            "after_again": after,
        }
    )


def failures(found: Evidence) -> dict[str, str]:
    verdicts = judge(found, used(), CONTAINERD, FAMILY)
    return {clause: verdict.reason for clause, verdict in verdicts.items() if verdict.status == "fail"}


@pytest.mark.parametrize("fault", ["kill", "power-cut"])
def test_records_in_order_pass_every_clause(fault: str) -> None:
    """No clause on records fails, and those that containerd's can answer are judged."""
    verdicts = judge(used(fault=fault), used(), CONTAINERD, FAMILY)

    assert failures(used(fault=fault)) == {}
    assert {verdicts[clause].status for clause in ("C05", "C06", "C07", "C11", "C12", "C13")} == {"pass"}
    assert verdicts["C14"].status == ("pass" if fault == "power-cut" else "n/a")


@pytest.mark.parametrize(
    ("records", "clause", "said"),
    [
        ({"base_id": 2}, "C05", "thin id 1 is in the pool but not recorded"),
        ({"state": 3}, "C06", "the base is recorded as not initialised"),
        ({"size": 1}, "C06", f"the base is recorded with 1 bytes, not {BASE_SIZE}"),
        ({"base_id": 2}, "C12", "the base has thin id 2, not 1"),
        ({"layer": "x"}, "C12", "the record 'p.db/devices/p-snap-2' of device 'p-snap-2' has changed"),
        ({"state": 3}, "C13", "'metadata/p.db/devices/p-snap-1/state' is '3', not '4'"),
        ({"fault": "power-cut", "size": 1}, "C14", "the record of 'base' has changed"),
    ],
)
def test_a_record_that_is_wrong_fails_the_clause_that_asks_for_it(
    records: dict[str, Any], clause: str, said: str
) -> None:
    """Records in databases are judged as those in files are."""
    assert said in failures(used(**records))[clause]


def test_a_format_without_a_place_for_the_uuid_owes_none() -> None:
    """C18 is n/a with its reason; a file system that is not there still fails C07."""
    identity = judge(used(), used(), CONTAINERD, FAMILY)["C18"]
    assert (identity.status, identity.reason) == ("n/a", "the driver's records have no place for the base's UUID")

    good = used()
    assert good.after is not None and good.after.base is not None
    empty = replace(good.after, base=good.after.base.model_copy(update={"fstype": "", "uuid": ""}))

    assert failures(good.model_copy(update={"after": empty}))["C07"] == "the base holds no file system"


def test_a_mkfs_after_a_power_cut_fails_c14() -> None:
    """Whatever the format, a base that was reported as done is not made again."""
    cut = used(fault="power-cut").model_copy(update={"reinits": [run(operations=[operation()])]})

    assert "after the power cut init ran 'mkfs.ext4' again" in failures(cut)["C14"]
