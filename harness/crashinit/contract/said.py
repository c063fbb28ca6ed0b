"""How a run of the driver ended, and what it said of that, in words for a reason."""

import re
import signal
from collections.abc import Sequence

from crashinit.model.observation import Run
from crashinit.text.printable import one_line

QUOTED = 300  # characters of a quotation, at most; the evidence holds all that was written
TAIL = 100  # of those, at the end: where a message names its cause
# How a program of Go or Rust begins the one line that says why it dies; what follows is where it was.
PANIC = re.compile(r"(?:fatal error|panic): |thread '.*' panicked at ")
TRACEBACK = "Traceback (most recent call last):"
# What a shell says of the program that it ran: "init.sh: line 16: ...", "sh: 3: ...", "Killed".
SHELL = re.compile(
    r"\S+: (?:line )?\d+: |(?:Aborted|Killed|Terminated|Bus error|Segmentation fault|Trace/breakpoint trap)\b"
)


def succeeded(run: Run) -> bool:
    """Whether an init ended well, or, for a daemon, got ready and still runs."""
    return not run.timed_out and not run.hung and run.exit in (0, None)


def refused(run: Run) -> bool:
    """Whether an init ended by itself, in time, with a failure and a message."""
    by_itself = run.exit is not None and run.exit > 0 and not run.timed_out and not run.hung
    return by_itself and bool(run.stderr.strip() or run.stdout.strip())


def ending(run: Run) -> str:
    """How a run ended, as the end of a sentence, with what it said of that."""
    said = plainest(run)
    return f"{way(run)}: '{quoted(said)}'" if said else f"{way(run)} and printed nothing"


def way(run: Run) -> str:
    """How a run ended, as the end of a sentence."""
    if run.hung:
        return f"hangs in the kernel: it was still there after SIGKILL, {run.seconds:.1f} s after it began"
    if run.timed_out:
        return f"did not end in time and was ended after {run.seconds:.1f} s{occupation(run)}"
    if run.exit is None:
        return "still runs"
    if run.early:
        return "ended with exit status 0 before it was ready"
    if run.exit < 0:
        return f"was ended by signal {signal_name(-run.exit)}"
    return f"ended with exit status {run.exit}"


def occupation(run: Run) -> str:
    """Whether a run that did not end was at work all the time or waited, as a part of a sentence; "": not recorded."""
    if run.busy is None:
        return ""
    said = f"busy for {run.busy:.1f} of them"
    return f" (it was {said})" if run.busy > run.seconds / 2 else f" (it waited, and was {said})"


def signal_name(number: int) -> str:
    """SIGSEGV for 11; the number itself where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def plainest(run: Run) -> str:
    """The one line in which a run says why it ended: that of a panic, the exception below a Python traceback, else the
    last one that is the driver's own and not of a shell around it. "": it printed nothing."""
    lines = _lines(run.stderr) or _lines(run.stdout)
    panic = next((line for line in lines if PANIC.match(line)), "")
    own = [line for line in lines if not SHELL.match(line)]
    return panic or _exception(lines) or _last(own) or _last(lines)


def last_line(text: str) -> str:
    """The last line of a tool's output that is not empty, to be quoted."""
    return quoted(_last(_lines(text)) or "it printed nothing")


def quoted(text: str) -> str:
    """A text as a reason quotes it: on one line, at most QUOTED characters, without what a terminal obeys."""
    text = one_line(" ".join(text.split()), None)
    return text if len(text) <= QUOTED else f"{text[: QUOTED - TAIL - 3]}...{text[-TAIL:]}"


def _exception(lines: Sequence[str]) -> str:
    """The line below the last Python traceback."""
    starts = [n for n, line in enumerate(lines) if line == TRACEBACK]
    below = lines[starts[-1] + 1 :] if starts else ()
    return next((line for line in below if not line.startswith((" ", "\t"))), "")


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _last(lines: Sequence[str]) -> str:
    return lines[-1].strip() if lines else ""
