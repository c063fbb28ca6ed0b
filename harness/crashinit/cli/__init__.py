"""The `crashinit` command: parses, calls, prints.

Exit codes are pytest's: 0 all converged, 1 some trial diverged or did not fire (or two runs differ, or the driver
fails without a fault), 2 interrupted, 3 harness error, 4 usage error, 5 nothing ran. What the commands need is imported
when they run, so that --help is fast.
"""

import errno
import io
import os
import signal
import sys
from collections.abc import Sequence

import typer

from crashinit.campaign.interruption import as_ctrl_c
from crashinit.cli import bisect, bundle, drivers, explore, host, replay, repro, results, scenarios, show, trials
from crashinit.cli.app import HARNESS_ERROR, INTERRUPTED, OK, USAGE_ERROR, app, fail
from crashinit.errors import CrashinitError

NO_NAMES = (errno.ENAMETOOLONG, errno.ELOOP)  # of a path that was given and can be none

__all__ = [
    "bisect",
    "bundle",
    "drivers",
    "explore",
    "host",
    "main",
    "replay",
    "repro",
    "results",
    "scenarios",
    "show",
    "trials",
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; every error becomes one sentence on standard error and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that has not every character gets an escape for it
            stream.reconfigure(errors="backslashreplace")
    with as_ctrl_c():
        try:
            code = app(args=arguments, prog_name="crashinit", standalone_mode=False)
        except KeyboardInterrupt:
            if arguments is None:  # the program, not a caller in Python: what is left to do is to leave, once is enough
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            return fail("interrupted", INTERRUPTED)
        except CrashinitError as error:
            return fail(f"error: {error}", error.exit_code)
        except typer.TyperException as error:
            context = getattr(error, "ctx", None)  # that of the command that was meant, as far as that is known
            command = context.command_path if context else "crashinit"
            said = _said(error).rstrip(".")
            return fail(f"error: {said}{'' if said.endswith('?') else '.'} See '{command} --help'.", USAGE_ERROR)
        except BrokenPipeError:
            # The reader went away (`crashinit trace | head`): say nothing more, not even at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return HARNESS_ERROR
        except OSError as error:
            where = f"'{error.filename}': " if error.filename else ""
            code = USAGE_ERROR if error.errno in NO_NAMES else HARNESS_ERROR
            return fail(f"error: {where}{error.strerror or error}", code)
        except Exception as error:
            return fail(
                f"error: {type(error).__name__}: {error} (a fault of crashinit itself; CRASHINIT_DEBUG=1 shows where)",
                HARNESS_ERROR,
            )
    # typer turns a KeyboardInterrupt into 130.
    return fail("interrupted", INTERRUPTED) if code == 130 else int(code or OK)


def _said(error: typer.TyperException) -> str:
    """What is wrong with the command line. Where typer repeats a model's words, ours stand in their place."""
    from pydantic import ValidationError

    from crashinit.files import refused

    cause, parameter = error.__cause__, getattr(error, "param", None)
    if not isinstance(cause, ValidationError) or parameter is None:
        return error.format_message()
    return refused.sentence(refused.first(cause), called=parameter.get_error_hint())
