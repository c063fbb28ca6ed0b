"""One init, recorded: its trace, and the logs of its disks joined with it.

The gate holds the init before each operation, and there each log is as long as the operations before have made it.
What a write(2) left in a cache is in no log yet: that is what a power cut takes.
"""

import gzip
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from crashinit.adapters.driven import GRACE, Driven
from crashinit.errors import MachineError, UsageError
from crashinit.faults.powercut import disk, log
from crashinit.faults.powercut.layout import layout_of, plug
from crashinit.faults.powercut.log import Entry
from crashinit.faults.powercut.states import CrashState, LogLengths, crash_states
from crashinit.files.safe import LIMIT, MIB, damage, parsed, replacing
from crashinit.machine.files import File
from crashinit.machine.protocol import Machine
from crashinit.model.observation import Observation, OperationRecord, Run

RECORDING_LIMIT = 4096 * MIB  # of all that disks hold and were told, in one recording


@dataclass(frozen=True)
class LoggedInit:
    """A run of init, with what its disks held before and were told during it."""

    run: Run
    sizes: tuple[int, ...]  # bytes of each disk
    initial: tuple[tuple[Entry, ...], ...]  # writes that make each disk's content before the run on a blank one
    logs: tuple[tuple[Entry, ...], ...]
    marks: tuple[LogLengths, ...]  # before each operation, and after the run
    before: Observation | None = None  # what a used root looked like
    earlier: tuple[Run, ...] = ()  # inits that a power cut had ended before

    @property
    def operations(self) -> Sequence[OperationRecord]:
        return self.run.operations

    @cached_property
    def states(self) -> dict[tuple[str, str], CrashState]:
        """The crash states by the key of their operation and their name."""
        return {(self.operations[s.operation].key, s.name): s for s in crash_states(self.logs, self.marks)}

    def initial_disks(self) -> list[File]:
        """The disks before the run."""
        return [disk.write(disk.blank(size), content) for size, content in zip(self.sizes, self.initial, strict=True)]

    def disks(self, state: CrashState) -> list[File]:
        """The disks that a power cut leaves in this state."""
        return [
            disk.write(content, cut.entries(entries))
            for content, cut, entries in zip(self.initial_disks(), state.cuts, self.logs, strict=True)
        ]

    def store(self, path: Path) -> None:
        """Keep it in a file, written in one step. Raises HostError."""
        parts = [log.build(entries) for entries in (*self.initial, *self.logs)]
        head: dict[str, Any] = {
            "run": self.run.model_dump(),
            "sizes": self.sizes,
            "marks": self.marks,
            "earlier": [run.model_dump() for run in self.earlier],
            "before": self.before.model_dump() if self.before else None,
            "parts": [len(part) for part in parts],
        }
        with replacing(path) as target, gzip.open(target, "wb", compresslevel=3) as file:
            file.write(json.dumps(head).encode() + b"\n")
            file.writelines(parts)

    @classmethod
    def read(cls, path: Path) -> "LoggedInit":
        """The inverse of store. Raises UsageError when there is none, or it is damaged."""
        again = "explore power cuts again, which records an init"
        try:
            with damage(path, again), gzip.open(path, "rb") as file:
                head = parsed(file.readline(LIMIT))
                lengths = [int(length) for length in head["parts"]]
                if min(lengths, default=0) < 0 or sum(lengths) > RECORDING_LIMIT:
                    raise ValueError("no recording is as long as that")
                logs = [file.read(length) for length in lengths]
                if file.read(1):  # to the end, where the checksum is
                    raise ValueError("there is more than its head tells of")
                parts = [_entries(stored) for stored in logs]
                count = len(head["sizes"])
                marks = tuple(tuple(mark) for mark in head["marks"])
                run = Run.model_validate(head["run"])
                before = Observation.model_validate(head["before"]) if head["before"] else None
                earlier = tuple(Run.model_validate(run) for run in head["earlier"])
                return cls(
                    run, tuple(head["sizes"]), tuple(parts[:count]), tuple(parts[count:]), marks, before, earlier
                )
        except FileNotFoundError as error:
            raise UsageError(f"'{path}' does not exist: {again}.") from error


class Recorder:
    """Disks with logs in a machine, and the init that is recorded on them."""

    def __init__(self, driven: Driven, initial: Sequence[File]) -> None:
        """Plug in copies of these disks, and mount the root."""
        self._driven = driven
        self._initial = [tuple(disk.pieces(content)) for content in initial]
        self.disks = [content.copied_to(File.on_disk()) for content in initial]
        self._logs = [File.on_disk() for _ in initial]
        self._readers = [log.Reader(file.fd) for file in self._logs]
        plug(driven.machine, self.disks, self._logs)
        layout_of(driven.setup).mount(driven.machine, driven.adapter.whole)

    def init(self) -> LoggedInit:
        """One init from start to end, held at each of its operations to look at the logs."""
        machine, marks = self._driven.machine, []
        state = self._driven.begin_init("every")
        while state["operation"] is not None:
            marks.append(self.mark())
            state = machine.call(
                "gate_resume", timeout=self._driven.setup.deadline + GRACE, gate=state["gate"], stop="every"
            )
        run = self._driven.finish(state["gate"])
        return self.recorded(run, [*marks[: len(run.operations)], self.mark()])

    def mark(self) -> LogLengths:
        """How long each log is now."""
        return tuple(reader.update() for reader in self._readers)

    def recorded(self, run: Run, marks: Sequence[LogLengths]) -> LoggedInit:
        """All that was recorded up to the last mark."""
        logs = [tuple(reader.entries[:end]) for reader, end in zip(self._readers, marks[-1], strict=True)]
        sizes = [os.fstat(file.fd).st_size for file in self.disks]
        return LoggedInit(run, tuple(sizes), tuple(self._initial), tuple(logs), tuple(marks))

    def check(self) -> None:
        """Compare each log with its disk, once nothing writes there any more. MachineError when they disagree."""
        self.mark()
        for content, reader, held in zip(self._initial, self._readers, self.disks, strict=True):
            changes = [entry for entry in reader.entries if entry.changes]
            replayed = disk.write(disk.blank(os.fstat(held.fd).st_size), [*content, *changes])
            offset = disk.differ(replayed, held)
            if offset is not None:
                raise MachineError(f"the log of a disk does not lead to its content: they differ at byte {offset}")


def _entries(stored: bytes) -> tuple[Entry, ...]:
    file = File.in_memory("log")
    os.write(file.fd, stored)
    reader = log.Reader(file.fd)
    reader.update()
    return tuple(reader.entries)


def detach(machine: Machine, volume: str) -> None:
    """Unmount the root's file system, so that all of it is on its disk."""
    machine.run("umount", volume).check()
