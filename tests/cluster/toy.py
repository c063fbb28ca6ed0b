"""Runners without machines, for what lies between an owner and its hosts. They meet in a directory of the test's."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from crashinit import adapters
from crashinit.campaign.planning import Runners
from crashinit.model.observation import Evidence
from crashinit.model.trial import Point, Setup, Trial

from ..contract.builder import evidence

PLACE = "CRASHINIT_TEST_PLACE"
GO, LOG, DEADLY = "go", "log", "deadly"


class Toy:
    """Says that a trial has begun, and ends it once it may."""

    adapter = adapters.load("reference")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def expect(self, trials: Sequence[Trial]) -> None:
        self.expected = [trial.id for trial in trials]

    def run(self, trial: Trial) -> tuple[Evidence, dict[str, float]]:
        assert trial.id in self.expected
        place = Path(os.environ[PLACE])
        with (place / LOG).open("a") as log:
            log.write(f"{trial.id} {os.environ['CRASHINIT_CACHE']}\n")
        if trial.id == DEADLY:
            os._exit(1)
        while not (place / GO).exists():
            threading.Event().wait(0.02)
        return evidence().model_copy(update={"trial": trial.id}), {"total": 0.1}

    def forget(self) -> None:
        pass


class Toys(Runners):
    """Makes them."""

    def __call__(self) -> Toy:  # type: ignore[override]
        adapters.load(self.driver)
        return Toy()

    def accel(self) -> str:
        return "none"


class OnAnotherAccelerator(Toys):
    """Its machines run in each process in another way."""

    def accel(self) -> str:
        return f"in {os.getpid()}"


def trial(name: str, operation: str = "") -> Trial:
    """A trial of the reference driver with this id."""
    point = Point("loopback", "before", 1, operation or name)
    return Trial(name, "reference", "test", Setup("fresh", (), 60.0), point, "kill", "tree", 1)


def begun(place: Path) -> list[tuple[str, str]]:
    """Which trials have begun, and on which host's cache."""
    log = place / LOG
    lines = log.read_text().splitlines() if log.exists() else []
    return [(line.split()[0], line.split()[1]) for line in lines]
