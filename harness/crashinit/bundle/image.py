"""What the driver's root held after the fault and before the next init, as files for a bundle."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

from crashinit.adapters import Adapter
from crashinit.campaign.planning import make_runner
from crashinit.campaign.tries import under
from crashinit.errors import GuestError
from crashinit.files.safe import MIB
from crashinit.machine.files import File
from crashinit.machine.protocol import Machine
from crashinit.model.events import Listener
from crashinit.model.fault import kind_of
from crashinit.model.trial import Trial
from crashinit.trial.powercut import PowerCutRunner

LIMIT = 20 * MIB  # bytes of all of it, packed
ROOT = "root.tar.gz"
PACKED = "/var/tmp/crashinit-bundle.tar.gz"  # in the machine
CHANGED = 1  # exit status of tar: a file changed as it was read, by a program that outlives the driver


def root_of(trial: Trial, provider: str, directory: Path, where: Path, emit: Listener) -> tuple[str, ...]:
    """Run a planned trial up to its fault and write what its root holds then; the files' names, () for too much.

    Of a power cut they are the disks, for which no machine is started; of all else one archive of the root.
    Raises CrashinitError when the init does not come to the fault.
    """
    with make_runner(trial.driver, provider, directory, emit) as runner:
        if kind_of(trial.fault).cuts_power:
            return tuple(_disks(trial, runner, where))
        trial = under(trial, runner.provider)
        with runner.held(trial) as (recording, driven):
            runner.strike(driven, recording.state["gate"], trial)
            return (ROOT,) if _archived(driven.machine, runner.adapter, where / ROOT) else ()


def _archived(machine: Machine, adapter: Adapter, target: Path) -> bool:
    """Whether the root is small enough, and was written."""
    of_root = adapter.whole.lstrip("/")
    options = ("-C", "/", "--one-file-system", "--xattrs", "--numeric-owner", "--sort=name", "-S")
    done = machine.run("tar", *options, "-czf", PACKED, of_root, timeout=300.0)
    if done.exit not in (0, CHANGED) or done.timed_out:
        raise GuestError(f"the root '{adapter.whole}' cannot be packed in the machine: {done.stderr.strip()}")
    if int(machine.run("stat", "-c", "%s", PACKED).check().stdout) > LIMIT:
        return False
    target.write_bytes(machine.get(PACKED))
    return True


def _disks(trial: Trial, runner: PowerCutRunner, where: Path) -> Iterator[str]:
    recorded, state = runner.recorded(trial)
    left = LIMIT
    written = []
    for number, disk in enumerate(recorded.disks(state), 1):
        path = where / f"disk-{number}.img.gz"
        left = _packed(disk, path, left)
        written.append(path)
        if left < 0:
            for file in written:
                file.unlink()
            return
    yield from (path.name for path in written)


def _packed(disk: File, path: Path, most: int) -> int:
    """Pack a disk with gzip; how many bytes are left of those that it may take, negative if it takes more."""
    with path.open("wb") as target, gzip.GzipFile("", "wb", compresslevel=6, fileobj=target, mtime=0) as file:
        for offset in range(0, disk.size(), MIB):
            file.write(os.pread(disk.fd, MIB, offset))
            if target.tell() > most:
                break
    return most - path.stat().st_size
