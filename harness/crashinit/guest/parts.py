"""The families' parts of the probe: packages that the host puts beside ours, loaded by their names."""

import importlib
from collections.abc import Callable
from typing import Any, Protocol, cast

from .requests import Table, register


class Part(Protocol):
    """What a family's package has."""

    observe: Callable[..., dict[str, Any]]  # (Spec, Seen, Gaps): the family's fields of the observation
    exercise: Callable[..., None]  # (Spec, Stages): use the base as its user would


def load(name: str) -> Part:
    """The part of that name; its requests of ioctl(2), if it has some, are stopped from then on.

    Raises ImportError when there is no such package, or it lacks something.
    """
    module = importlib.import_module(name)
    for owed in ("observe", "exercise"):
        if not callable(getattr(module, owed, None)):
            raise ImportError(f"'{name}' has no function '{owed}'")
    requests: Table = getattr(module, "REQUESTS", {})
    register(requests)
    return cast(Part, module)
