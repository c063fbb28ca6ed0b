"""The `crashinit` command: parses, calls, prints.

Exit codes are pytest's: 0 all converged, 1 some trial diverged or did not fire (or two runs differ, or the driver
fails without a fault), 2 interrupted, 3 harness error, 4 usage error, 5 nothing ran. What the commands need is imported
when they run, so that --help is fast.
"""

import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import typer

from crashinit.cli import host, results, trials
from crashinit.cli.app import HARNESS_ERROR, INTERRUPTED, OK, USAGE_ERROR, app, fail
from crashinit.errors import CrashinitError

__all__ = ["host", "main", "results", "trials"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; every error becomes one sentence on standard error and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that has not every character gets an escape for it
            stream.reconfigure(errors="backslashreplace")
    # A cancelled CI job, and a terminal that was closed, get their report too; what nohup(1) ignores stays ignored.
    ends = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, _interrupt) for number in ends}
    try:
        code = app(args=arguments, prog_name="crashinit", standalone_mode=False)
    except KeyboardInterrupt:
        if arguments is None:  # the program, not a caller in Python: what is left to do is to leave, once is enough
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return fail("interrupted", INTERRUPTED)
    except CrashinitError as error:
        return fail(f"error: {error}", error.exit_code)
    except typer.TyperException as error:
        return fail(f"error: {error.format_message().rstrip('.')}. See 'crashinit --help'.", USAGE_ERROR)
    except BrokenPipeError:
        # The reader went away (`crashinit trace | head`): say nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return HARNESS_ERROR
    except OSError as error:
        where = f"'{error.filename}': " if error.filename else ""
        return fail(f"error: {where}{error.strerror or error}", HARNESS_ERROR)
    except Exception as error:
        return fail(
            f"error: {type(error).__name__}: {error} (a fault of crashinit itself; CRASHINIT_DEBUG=1 shows where)",
            HARNESS_ERROR,
        )
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    # typer turns a KeyboardInterrupt into 130.
    return fail("interrupted", INTERRUPTED) if code == 130 else int(code or OK)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """As Ctrl-C. A terminal that goes away says so more than once: the second time is not to cut off the report."""
    if signal.getsignal(signal.SIGHUP) == _interrupt:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.default_int_handler(number, frame)
