"""What the probe looks at of a driver with a thin pool, and how it uses the base: the family's part in the machine."""

from typing import Any

from crashinit.guest import thin
from crashinit.guest.gaps import Gaps
from crashinit.guest.probe import Seen, Spec

from .exercise import exercise
from .records import located, texts_of

__all__ = ["exercise", "observe"]


def observe(spec: Spec, seen: Seen, gaps: Gaps) -> dict[str, Any]:
    """The pool, its metadata and its base, the driver's records."""
    texts = seen.records if spec.records else texts_of(spec, gaps)
    where, known = located(spec, texts)
    pool, base = thin.look(where, seen.dm, known, gaps)
    return {
        "pool_name": where.pool_name,
        "base_name": where.base_name,
        "base_id": known.id if known else None,
        "metadata": texts,
        "base": base,
        "pool": pool,
        "thin_check": thin.thin_check(where, seen.dm, gaps) if spec.after_shutdown else None,
    }
