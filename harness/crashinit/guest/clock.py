"""The clock of one gated run: it stands while the run is held, so that a deadline is of the run's own seconds."""

import time


class Clock:
    """Seconds of a run since it began, and the deadline that it has to keep."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._began = time.monotonic()
        self._stood: float | None = None  # since when it stands
        self._idle = 0.0  # seconds that it stood before

    def begin(self) -> None:
        """The run begins now."""
        self._began = time.monotonic()

    def stand(self) -> None:
        """No time passes until go()."""
        self._stood = time.monotonic()

    def go(self) -> None:
        """Time passes again."""
        if self._stood is not None:
            self._idle += time.monotonic() - self._stood
            self._stood = None

    def seconds(self) -> float:
        """Since the run began, without the time in which the clock stood."""
        now = time.monotonic() if self._stood is None else self._stood
        return now - self._began - self._idle

    def past(self) -> bool:
        """Whether the deadline is over; never while the clock stands."""
        return self._stood is None and self.seconds() > self._deadline

    def left(self) -> float | None:
        """Seconds until the deadline, at least 0; None where it comes no nearer."""
        if self._stood is not None or self._deadline == float("inf"):
            return None
        return max(0.0, self._deadline - self.seconds())

    def extend(self, seconds: float) -> None:
        """The deadline is that many seconds from now."""
        self._deadline = self.seconds() + seconds
