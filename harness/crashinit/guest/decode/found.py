"""What a stopped call turns out to be."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Operation:
    """One request, before it runs: it changes something, or an error may be injected there."""

    kind: str
    object: str
    detail: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Unseen:
    """The call runs, and what it may change is not seen; `what` is half a sentence."""

    what: str


@dataclass(frozen=True)
class Refused:
    """The call fails with ENOSYS; `what` is half a sentence."""

    what: str


Found = Operation | Unseen | Refused | None  # None: it changes nothing that concerns the driver
