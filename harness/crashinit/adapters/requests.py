"""What a driver that is up is asked for, beside its init: to shut down, or to make, use or remove a user's volume."""

from typing import TYPE_CHECKING

from crashinit.adapters.driven import Driven
from crashinit.contract.said import ending, succeeded
from crashinit.errors import DriverError, GuestError, UsageError
from crashinit.model.observation import Exercise, Run
from crashinit.model.trial import CREATE, REMOVE, SHUTDOWN, USE

if TYPE_CHECKING:
    from crashinit.adapters import Adapter
    from crashinit.machine.protocol import Completed

REQUESTED = "crashinit-request"  # the volume


def words_of(adapter: "Adapter", during: str) -> tuple[str, ...]:
    """The driver's own command for it. Raises UsageError where the adapter does not say it."""
    if adapter.ready:
        raise UsageError(
            f"the driver '{adapter.name}' is a daemon, which does what it is asked for itself: 'during: {during}' "
            "strikes a command of the driver."
        )
    if during == SHUTDOWN:
        found, where = adapter.shutdown, "'shutdown'"
    else:
        users, key = adapter.users, "mount" if during == USE else during
        found, where = (getattr(users, key) if users else ()), f"'{key}' in [volume]"
    if not found:
        raise UsageError(f"the adapter '{adapter.name}' has no {where}, so 'during: {during}' has nothing to strike.")
    return found


def bring_up(driven: Driven) -> None:
    """The driver is up, and what it will be asked for can be done. Raises DriverError when it fails at that."""
    if not succeeded(run := driven.init()):
        raise DriverError(f"without any fault, before '{driven.setup.during}' init {ending(run)}")
    if driven.setup.during in (REMOVE, USE):
        driven.make_volume(REQUESTED)


def begin(driven: Driven, stop: str | int, *, reads: bool = False) -> "dict[str, object]":
    """Ask for it under the gate; the gate's state when it is held or has ended."""
    return driven.begin_command(words_of(driven.adapter, driven.setup.during), stop, reads=reads, id=REQUESTED)


def settled(driven: Driven, asked: Run) -> Exercise | None:
    """What is left of the request once init has converged: it is done if that was reported, and else whole or not at
    all. Then it is done, as by a user who asks once more. None: there is no volume to look at.
    """
    during = driven.setup.during
    if during not in (CREATE, REMOVE, USE):
        return None
    stage = "mount"
    try:
        there = _tried(driven, "mount")
        if there is None:
            if succeeded(asked) and during != REMOVE:
                return _wrong(stage, f"'{during}' had reported success, and the volume cannot be mounted")
            if during == USE:
                return _wrong(stage, "the volume that was to be used cannot be mounted")
            stage = "create"
            _do(driven, "create")
            stage = "mount"
            _do(driven, "mount")
        elif during != CREATE and not driven.holds_payload(there):
            return _wrong("read", "the volume can be mounted, and its data is not what was written")
        stage = "unmount"
        _do(driven, "unmount")
        if there is not None and succeeded(asked) and during == REMOVE:
            return _wrong("mount", "'remove' had reported success, and the volume is there")
        if during == REMOVE:
            stage = "remove"
            _do(driven, "remove")
    except GuestError as error:
        return _wrong(stage, str(error))
    return Exercise(ok=True, stage=stage, message="")


def _wrong(stage: str, message: str) -> Exercise:
    return Exercise(ok=False, stage=stage, message=message)


def _tried(driven: Driven, key: str) -> str | None:
    """What one of the driver's commands printed last; None if it failed."""
    done = _command(driven, key)
    lines = done.stdout.strip().splitlines()
    return lines[-1] if done.exit == 0 and lines else None


def _do(driven: Driven, key: str) -> None:
    """One of the driver's commands, which has to succeed. Raises GuestError."""
    _command(driven, key).check()


def _command(driven: Driven, key: str) -> "Completed":
    return driven.command(getattr(driven.adapter.users, key), id=REQUESTED)
