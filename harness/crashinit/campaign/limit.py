"""The time that a run may take: after it no more trials are begun."""

import re

from crashinit.errors import UsageError

NO_TIME = "the time was over"
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """What '--max-time' says, such as 90s, 5m or 1.5h, in seconds. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(s|m|h)?", text)
    if not match or float(match[1]) == 0:
        raise UsageError(f"'--max-time' is '{text}', but must be a time such as 90s, 5m or 1h.")
    return float(match[1]) * _SECONDS[match[2] or "s"]


def left_out(left: int, count: int, limit: float) -> str:
    """What there was no time for, as a sentence for reports."""
    return f"{left} of {count} trials: {NO_TIME} ({limit:g} s)"
