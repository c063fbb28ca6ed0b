"""The families' parts of the probe: packages that the host puts beside ours, loaded by their names."""

import importlib
from collections.abc import Callable
from typing import Any, Protocol, cast

from .names import TEMPORARY
from .requests import Table, register


class Part(Protocol):
    """What a family's package has."""

    observe: Callable[..., dict[str, Any]]  # (Spec, Seen, Gaps): the family's fields of the observation
    exercise: Callable[..., None]  # (Spec, Stages): use the base as its user would


def load(name: str) -> Part:
    """The part of that name. From then on its REQUESTS of ioctl(2) are stopped, and files that begin as its TEMPORARY
    says have steady names in operations' keys, if it has such.

    Raises ImportError when there is no such package, or it lacks something.
    """
    module = importlib.import_module(name)
    for owed in ("observe", "exercise"):
        if not callable(getattr(module, owed, None)):
            raise ImportError(f"'{name}' has no function '{owed}'")
    requests: Table = getattr(module, "REQUESTS", {})
    register(requests)
    TEMPORARY.extend(set(getattr(module, "TEMPORARY", ())) - set(TEMPORARY))
    return cast(Part, module)
