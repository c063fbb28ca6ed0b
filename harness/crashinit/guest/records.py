"""The driver's records, where its own command prints them: one JSON document, of which each volume becomes a text."""

import json
from typing import Any

from . import process
from .gaps import Gaps
from .thin import BaseRecord

LIMIT = 30.0  # seconds for the command
BASE = "base"
UNREADABLE = "document"  # the path of what is not a document of volumes


def texts(argv: tuple[str, ...], gaps: Gaps) -> dict[str, str]:
    """What the command printed, by path: 'volumes/NAME' for each volume, 'transaction' if it told of one."""
    with gaps.looking("metadata", f"the driver's records could not be read: '{' '.join(argv)}' failed"):
        ended = process.tool(list(argv), LIMIT)
        if ended.exit:
            said = " ".join(ended.output.split())[-300:]
            raise ValueError(f"it ended with exit status {ended.exit}: {said or 'it printed nothing'}")
        return split(ended.stdout.decode("utf-8", "replace"))
    return {}


def split(document: str) -> dict[str, str]:
    """The document in pieces; what is none is one piece, for the contract to refuse."""
    try:
        told = json.loads(document)
        pieces = {f"volumes/{volume['name']}": json.dumps(volume, sort_keys=True) for volume in told["volumes"]}
        if len(pieces) != len(told["volumes"]):
            raise ValueError("two volumes have one name")
    except (KeyError, TypeError, ValueError):
        return {UNREADABLE: document}
    transaction = told.get("transaction")
    return pieces if transaction is None else {**pieces, "transaction": str(transaction)}


def base_of(told: dict[str, str]) -> BaseRecord | None:
    """The base as the driver's records have it; None if they do not, or not legibly."""
    try:
        base: Any = json.loads(told[f"volumes/{BASE}"])
        return BaseRecord(int(base["id"]), int(base["size"]))
    except (KeyError, TypeError, ValueError):
        return None
