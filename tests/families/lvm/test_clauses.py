"""What a volume group owes."""

import json

import pytest
from crashinit import families
from crashinit.contract.case import Case
from crashinit.contract.expectation import Expectation
from crashinit.contract.health import pool_healthy
from crashinit.contract.verdict import EarlyVerdictError
from crashinit.families.lvm.clauses import group_consistent
from crashinit.model.observation import CheckRun, Evidence

from ...contract.builder import evidence, reference

GOOD = json.dumps(
    {
        "report": [
            {
                "lv": [
                    {"lv_name": "base", "lv_attr": "Vwi-a-tz--"},
                    {"lv_name": "[lvol0_pmspare]", "lv_attr": "ewi-------"},
                    {"lv_name": "pool", "lv_attr": "twi-aotz--"},
                ]
            }
        ]
    }
)


def judged(found: Evidence, clause: str) -> tuple[str, str]:
    case = Case(found, reference(), Expectation(deadline=60.0), families.load("lvm"))
    try:
        verdict = (group_consistent if clause == "L01" else pool_healthy)(case)
    except EarlyVerdictError as early:
        verdict = early.verdict
    return verdict.status, verdict.reason


def told(**more: str) -> Evidence:
    good = evidence()
    assert good.after
    return good.model_copy(update={"after": good.after.model_copy(update={"more": more})})


@pytest.mark.parametrize(
    ("vgck", "lvs", "status", "said"),
    [
        ("", GOOD, "pass", ""),
        ("Found mismatch in metadata", GOOD, "fail", "vgck: 'Found mismatch in metadata'"),
        ("", GOOD.replace("twi-aotz--", "twi---tz--"), "fail", "logical volume 'pool' is not active"),
        ("", GOOD.replace("Vwi-a-tz--", "Vwi-a-tzp-"), "fail", "logical volume 'base' has the health 'p'"),
        ("", '{"report": [{"lv": []}]}', "fail", "the group has no logical volume"),
        ("", 'Volume group "vg" not found', "fail", "lvs did not tell of the group"),
    ],
)
def test_the_group_is_whole(vgck: str, lvs: str, status: str, said: str) -> None:
    """LVM's own checks and each volume's state; what LVM keeps for a repair needs not be active."""
    found = judged(told(vgck=vgck, lvs=lvs), "L01")

    assert found[0] == status
    assert said in found[1]


def test_a_group_that_was_not_looked_at_is_no_pass() -> None:
    """Without vgck nothing is known."""
    assert judged(told(), "L01") == ("fail", "vgck was not run")


def test_the_pool_is_checked_after_shutdown() -> None:
    """Its status while it was live, then thin_check."""
    good = evidence()
    assert good.after_shutdown
    clean = CheckRun(argv=["thin_check", "x"], exit=0, output="")

    def checked(run: CheckRun | None) -> tuple[str, str]:
        assert good.after_shutdown
        after = good.after_shutdown.model_copy(update={"thin_check": run})
        return judged(good.model_copy(update={"after_shutdown": after}), "L02")

    assert checked(clean)[0] == "pass"
    assert checked(clean.model_copy(update={"exit": 1, "output": "bad checksum"})) == (
        "fail", "thin_check ended with exit status 1: 'bad checksum'"
    )  # fmt: skip
    assert checked(None)[0] == "fail"
