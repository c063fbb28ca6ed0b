"""The clause on what a power cut may not take."""

from typing import Any

import pytest
from crashinit.contract.judge import judge
from crashinit.model.observation import Evidence, ThinDevice

from tests.contract.builder import (
    EXPECTATION,
    FAMILY,
    Change,
    change_part,
    evidence,
    observe,
    operation,
    reference,
    run,
    spoil,
    unlink,
    write,
)


def cut_after_success(**keywords: Any) -> Evidence:
    return evidence(**keywords).model_copy(update={"fault": "power-cut", "fault_run": run()})


def verdict(found: Evidence, **keywords: Any) -> tuple[str, str]:
    judged = judge(found, reference(**keywords), EXPECTATION, FAMILY)["C14"]
    return judged.status, judged.reason


def test_all_is_there() -> None:
    """A base, a record and devices as this very init had left them."""
    assert verdict(cut_after_success(user_data=True), user_data=True) == ("pass", "")


def test_other_faults() -> None:
    """Where no power was cut there is nothing to judge."""
    assert verdict(evidence())[0] == "n/a"


def test_cut_before_success() -> None:
    """Before init has reported success it owes nothing."""
    cut = evidence().model_copy(update={"fault": "power-cut", "fault_run": run(exit=-9)})

    assert verdict(cut) == ("n/a", "init had not reported success when the power was cut")


def test_a_base_that_nobody_could_see() -> None:
    """Where nothing records the base and it was inactive, whether it was kept cannot be told; a lost device can."""
    unknown = EXPECTATION.model_copy(update={"metadata_format": "none"})
    unseen = reference().model_copy(update={"after": observe().model_copy(update={"base": None})})
    verdict = judge(cut_after_success(), unseen, unknown, FAMILY)["C14"]
    lost = judge(spoil(cut_after_success(), change_part("pool", thin_devices=[])), unseen, unknown, FAMILY)["C14"]

    assert (verdict.status, lost.status) == ("n/a", "fail")


def test_mkfs_again() -> None:
    """A base that had been made is not made again."""
    again = cut_after_success().model_copy(update={"reinits": [run(operations=[operation()])]})

    assert verdict(again) == ("fail", "after the power cut init ran 'mkfs.ext4' again")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_part("base", uuid="other"), "the base's UUID was"),
        (unlink("metadata/layer"), "the record of 'layer' is gone"),
        (write("metadata/base", initialized=False), "the record of 'base' has changed"),
        (write("metadata/deviceset-metadata", BaseDeviceUUID="other"), "the recorded UUID was"),
        (write("metadata/layer", ""), "'metadata/layer' cannot be read: it is empty"),
        (change_part("pool", thin_devices=[]), "thin id 1 is gone from the pool"),
        (
            change_part("pool", thin_devices=[
                ThinDevice(id=1, mapped_blocks=90, transaction=0, digest=""),
                ThinDevice(id=7, mapped_blocks=95, transaction=0, digest="d2"),
            ]),
            "the data of thin id 7 has changed",
        ),
    ],
)  # fmt: skip
def test_loss(change: Change, reason: str) -> None:
    """Each thing that was there and is not any more is named."""
    status, said = verdict(spoil(cut_after_success(user_data=True), change), user_data=True)

    assert status == "fail"
    assert reason in said
