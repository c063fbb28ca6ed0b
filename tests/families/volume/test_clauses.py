"""V01: the volume is where the adapter says."""

import pytest
from crashinit import families
from crashinit.contract.case import Case
from crashinit.contract.expectation import Expectation
from crashinit.families.volume.clauses import volume_there
from crashinit.model.observation import Evidence, Volume

from ...contract.builder import evidence, reference

BASE = Volume(name="base", place="/var/lib/d/mnt", device="7:0", fstype="btrfs", uuid="u", size=1, subvolume=True)


def judged(found: Evidence) -> tuple[str, str]:
    expectation = Expectation(deadline=60.0, fstype="btrfs", subvolume=True)
    verdict = volume_there(Case(found, reference(), expectation, families.load("volume")))
    return verdict.status, verdict.reason


def with_base(**changes: object) -> Evidence:
    """Evidence in which the base is as given after the re-init and after one more init."""
    good, base = evidence(), [BASE.model_copy(update=changes)]
    assert good.after and good.after_again
    return good.model_copy(
        update={
            "after": good.after.model_copy(update={"volumes": base}),
            "after_again": good.after_again.model_copy(update={"volumes": base}),
        }
    )


def test_a_volume_that_is_there_passes() -> None:
    """Mounted, of the configured type, a subvolume where that is asked for."""
    assert judged(with_base())[0] == "pass"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"place": ""}, "the volume 'base' is not there"),
        ({"device": ""}, "nothing of the driver's is mounted at '/var/lib/d/mnt'"),
        ({"fstype": "ext4"}, "of type 'ext4', not 'btrfs'"),
        ({"subvolume": False}, "is no subvolume of its own"),
        ({"name": "other"}, "the volume 'base' is not there"),
    ],
)
def test_each_thing_that_it_may_lack_is_named(changes: dict[str, object], said: str) -> None:
    """A directory on the machine's own disk, another type, a plain directory: each fails with its own words."""
    status, reason = judged(with_base(**changes))

    assert status == "fail"
    assert said in reason


def test_it_is_asked_for_after_one_more_init_as_well() -> None:
    """An init that takes it away again is caught."""
    found = with_base()
    assert found.after_again
    gone = found.model_copy(update={"after_again": found.after_again.model_copy(update={"volumes": []})})

    assert judged(gone) == ("fail", "after one more init the volume 'base' is not there")
