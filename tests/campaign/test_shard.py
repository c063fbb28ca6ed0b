"""Shares of a plan."""

from dataclasses import replace

import pytest
from crashinit.campaign.shard import Shard
from crashinit.errors import UsageError
from crashinit.model.trial import Point

from ..toys import planned

TRIALS = [
    replace(planned(f"t/{n}/{victim}"), point=Point("mkfs", "during", n, f"dev.write base#{n}"), victim=victim)
    for n in range(1, 23)
    for victim in ("process", "tree")
]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 22, 44])
def test_shares_are_all_trials_once_and_about_as_many_each(count: int) -> None:
    """Whoever runs which, nothing is lost and nothing done twice."""
    shares = [Shard(number, count).of(TRIALS, {}) for number in range(1, count + 1)]

    assert sorted(trial.id for share in shares for trial in share) == sorted(trial.id for trial in TRIALS)
    if count <= 3:
        assert max(map(len, shares)) - min(map(len, shares)) <= len(TRIALS) // count


def test_a_share_is_the_same_each_time_and_keeps_a_boundary_together() -> None:
    """In whatever order the trials come."""
    share = Shard(2, 3).of(TRIALS, {})

    assert [trial.id for trial in share] == [trial.id for trial in Shard(2, 3).of(TRIALS, {})]
    assert len({trial.point.n for trial in share}) * 2 == len(share)


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "1/0", "1/2/3", "-1/2", "a/b", "1 /2"])
def test_what_is_no_share_is_refused(text: str) -> None:
    """With an example of one that is."""
    with pytest.raises(UsageError, match="such as 2/5"):
        Shard.parse(text)
