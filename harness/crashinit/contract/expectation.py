"""What init was asked for, in the terms that the clauses compare with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import Field

from crashinit.model.observation import Record

NO_FORMAT = "none"  # of the driver's records: they are not read


@dataclass(frozen=True)
class Asked:
    """What an adapter and a scenario say of one init."""

    deadline: float  # seconds
    options: tuple[str, ...] = ()  # storage options, the adapter's own first
    stated: Mapping[str, Any] = field(default_factory=dict)  # the adapter's [expect]
    metadata_format: str = NO_FORMAT
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    allowed: Mapping[str, str] = field(default_factory=dict)
    subvolume: bool = False


class Expectation(Record):
    """The configuration under test, as far as every family knows it. Names of devices depend on the machine, so the
    observation carries them. All sizes are in bytes."""

    deadline: float  # seconds that one init may take
    fstype: str = "ext4"  # of the base, as blkid names it: "ext4", "xfs"
    base_size: int = 0  # 0: not stated, so not compared
    subvolume: bool = False  # the base is a subvolume of its own
    metadata_format: str = NO_FORMAT
    metadata_dir: str = "metadata"  # relative to the root: where the driver keeps its own metadata
    not_applicable: dict[str, str] = Field(default_factory=dict)  # clause -> why it cannot be judged for this driver
    allowed: dict[str, str] = Field(default_factory=dict)  # pattern of a fact that each init makes anew -> why

    @classmethod
    def stated(cls, asked: Asked) -> Self:
        """What the adapter states, with the family's defaults for the rest."""
        return cls(**common(asked), **asked.stated)

    @classmethod
    def fields_to_state(cls) -> list[str]:
        """What [expect] may say: the rest comes from the adapter's other keys, or is no text and no number."""
        return [name for name in cls.model_fields if name not in NOT_STATED]


NOT_STATED = ("deadline", "subvolume", "metadata_format", "not_applicable", "allowed", "features")


def common(asked: Asked) -> dict[str, Any]:
    """What every family takes from the adapter's other keys."""
    return {
        "deadline": asked.deadline,
        "metadata_format": asked.metadata_format,
        "not_applicable": dict(asked.not_applicable),
        "allowed": dict(asked.allowed),
        "subvolume": asked.subvolume,
    }
