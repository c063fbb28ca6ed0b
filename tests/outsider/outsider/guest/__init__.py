"""What is looked at in the machine."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crashinit.guest.exercise import StageError, Stages, written_and_read
from crashinit.guest.gaps import Gaps
from crashinit.guest.probe import Seen, Spec, mount_table

if TYPE_CHECKING:
    from collections.abc import Iterator


def observe(spec: Spec, seen: Seen, gaps: Gaps) -> dict[str, Any]:
    """The options of the tmpfs, as the kernel shows them."""
    place = str(spec.given["mounted"])
    lines = [line for line in Path("/proc/self/mounts").read_text().splitlines() if line.split()[1] == place]
    return {"more": {"tmpfs": lines[-1].split()[3] if lines else ""}}


def exercise(spec: Spec, stages: Stages) -> None:
    """A file in it."""
    place = Path(spec.given["mounted"])
    if not any(mount.target == str(place) and mount.fstype == "tmpfs" for mount in mount_table()):
        raise StageError("no tmpfs is mounted there")
    written_and_read(lambda: _here(place), stages)


@contextmanager
def _here(place: Path) -> "Iterator[Path]":
    yield place
