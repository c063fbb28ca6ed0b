"""A share of a plan, for one of several machines that run it side by side."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crashinit.campaign.units import groups
from crashinit.errors import UsageError
from crashinit.model.observation import Evidence
from crashinit.model.trial import Setup, Trial

ELSEWHERE = "they are of other shards"


@dataclass(frozen=True)
class Shard:
    """The share `number` of `count`, counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From "2/5". Raises UsageError."""
        match = re.fullmatch(r"([1-9]\d{0,3})/([1-9]\d{0,3})", text)
        if not match or int(match[1]) > int(match[2]):
            raise UsageError(f"'--shard' is '{text}', but must be K/N with K from 1 to N, such as 2/5.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, trials: Sequence[Trial], references: Mapping[Setup, Evidence]) -> list[Trial]:
        """This share of the trials: the same each time, and together all of them, once.

        Trials that follow one another in a recorded init stay together, and so do those that may stand for one another.
        """
        mine: list[Trial] = []
        before = 0
        for unit in groups(trials, references):
            middle = before + len(unit) / 2
            if int(middle * self.count / len(trials)) == self.number - 1:
                mine += unit
            before += len(unit)
        return mine
