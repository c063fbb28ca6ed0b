"""The place of a run: a directory that only one process at a time writes into, and that holds nobody else's files."""

import errno
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crashinit.errors import HostError, UsageError
from crashinit.files.safe import UNFINISHED, parsed, text
from crashinit.run.kept import COLD, ERRORS, EVIDENCE, PLAN, RECORDINGS, REPORTS, SCENARIOS, sweep_up
from crashinit.scenario import plan

RESULTS, RUN = REPORTS[:2]
NO_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)

NOT_PERMITTED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def claimed(out: Path, *, resume: bool = False, force: bool = False) -> Iterator[None]:
    """Hold a directory for a run: make it, keep other runs out, and remove it again if the run put nothing there.

    The results that it holds are gone on with (`resume`) or may be replaced (`force`); else they are refused.
    Raises UsageError, HostError.
    """
    try:
        if out.is_symlink() and not out.exists():
            raise UsageError(f"'{out}' is a symbolic link to nothing: name another '--out'.")
        if out.exists() and not out.is_dir():
            raise UsageError(f"'{out}' is not a directory: name another '--out'.")
        if out.resolve() == Path(out.resolve().anchor):
            raise UsageError(f"'{out}' is no place for a run: name another '--out'.")
        made = _made(out)
    except OSError as error:
        raise UsageError(f"'{error.filename or out}': {error.strerror}: give another '--out'.") from error
    try:
        with locked(out):
            _check(out, resume=resume, force=force)
            if resume:
                sweep_up(out)
            yield
    finally:
        for directory in made:
            with suppress(OSError):  # it is not empty: so it stays
                directory.rmdir()


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other processes of this program out of a run's directory; the lock ends with this process, however it ends.

    Raises UsageError when another one holds it.
    """
    try:
        directory = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UsageError(f"'{out}' does not exist: name the directory of a run.") from None
    except NotADirectoryError:
        raise UsageError(f"'{out}' holds no '{RESULTS}': name the directory that a run has written.") from None
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(directory)
        raise UsageError(f"another run is at work in '{out}': wait for its end, or name another directory.") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:  # some network file systems have no locks: there one goes without
            os.close(directory)
            raise
    try:
        yield
    finally:
        os.close(directory)


@contextmanager
def permitted(directory: Path) -> Iterator[None]:
    """What the system does not permit this user in a run's directory becomes a UsageError that says what to do."""
    try:
        yield
    except (OSError, HostError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in NOT_PERMITTED:
            raise
        raise UsageError(
            f"'{cause.filename or directory}': {cause.strerror}: work as a user who may read and write it, or copy the "
            "run's directory and name the copy."
        ) from error


def _made(out: Path) -> list[Path]:
    """Make the directory with those above it; those that were made, the innermost first."""
    missing = [path for path in (out, *out.absolute().parents) if not path.exists()]
    out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=out) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        kind = UsageError if error.errno in NOT_PERMITTED else HostError
        raise kind(f"'{out}' cannot be written to ({error.strerror}): give another directory.") from error
    return missing


def _check(out: Path, *, resume: bool, force: bool) -> None:
    held = (out / RESULTS).exists()
    if not _is_empty(out) and not is_run(out):
        raise UsageError(f"'{out}' holds something else than a run: give an empty or a new directory as '--out'.")
    if held and not (resume or force):
        raise UsageError(f"'{out}' holds results already: give '--resume' to go on, '--force' to replace them.")
    if resume and not held:
        raise UsageError(f"'{out}' holds no results to go on from: leave out '--resume'.")


def _is_empty(out: Path) -> bool:
    return all(path.name.startswith(UNFINISHED) for path in out.iterdir())


def is_run(out: Path) -> bool:
    """Whether a directory was written by a run, whole or not: what is in it may be replaced if that is asked for."""
    with suppress(UsageError, OSError):
        plan.read(out / PLAN)
        return True
    with suppress(UsageError, OSError, ValueError):
        if {"driver", "planned"} <= set(parsed(text(out / RUN))):
            return True
    with suppress(OSError, ValueError, TypeError), (out / RESULTS).open("rb") as file:
        return {"id", "outcome"} <= set(json.loads(file.readline(1 << 24)))
    ours = {*REPORTS, PLAN, SCENARIOS, EVIDENCE, RECORDINGS, ERRORS, COLD}
    names = {path.name for path in out.iterdir() if not path.name.startswith(UNFINISHED)}
    return names <= ours and (out / EVIDENCE / "reference-0.json.gz").exists()  # one that was killed as it began
