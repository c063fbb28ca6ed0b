"""The clock of a gated run; `now` stands for the machine's monotonic clock."""

import pytest
from crashinit.guest import clock


class Now:
    """A monotonic clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    """The clock that the module reads."""
    now = Now()
    monkeypatch.setattr(clock, "time", now)
    return now


def test_time_in_which_a_run_is_held_is_not_its_own(now: Now) -> None:
    """The clock stands from stand() to go(), however often, and shows meanwhile what it showed before."""
    run = clock.Clock(60.0)
    for _ in range(2):
        now.seconds += 3
        run.stand()
        now.seconds += 1000
        assert run.seconds() in (3, 6)
        run.go()

    assert run.seconds() == 6


def test_a_deadline_is_of_the_runs_own_seconds(now: Now) -> None:
    """A run that is held comes no nearer to its deadline, and is not past it; a run that goes on is."""
    run = clock.Clock(10.0)
    now.seconds += 4
    assert run.left() == 6
    run.stand()
    now.seconds += 1000
    assert (run.left(), run.past()) == (None, False)
    run.go()
    now.seconds += 6
    assert (run.left(), run.past()) == (0, False)
    now.seconds += 1
    assert run.past()


def test_a_deadline_can_be_extended(now: Now) -> None:
    """By seconds from now, or for ever."""
    run = clock.Clock(10.0)
    now.seconds += 11
    run.extend(5.0)
    assert (run.left(), run.past()) == (5, False)
    run.extend(float("inf"))
    now.seconds += 1e9
    assert (run.left(), run.past()) == (None, False)
