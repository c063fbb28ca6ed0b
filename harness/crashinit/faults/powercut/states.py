"""Crash states: what disks may hold when the power goes. Pure functions over logs that are joined with a trace.

A disk forgets nothing that it answered before it answered a flush, and of what came later it may keep any part, in
any order. A write is kept whole in each physical sector, not as a whole. Of each moment a few states are taken, by a
seed: that nothing of the later part was kept, that all of it was, some subsets, and one whose last write is torn.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from crashinit.faults.powercut.log import SECTOR, Entry

SUBSETS = 2  # of the unflushed writes of one moment that are tried, besides none and all of them
TORN = 1  # states of one moment with a torn write
ATOM = 8  # sectors that a disk writes as a whole: a physical sector of 4096 bytes
SEED = "crashinit"

LogLengths = tuple[int, ...]  # for each disk: how many entries its log had


@dataclass(frozen=True)
class Cut:
    """What one disk kept of its log."""

    prefix: int  # entries from the beginning, up to the last flush: all kept
    kept: tuple[int, ...] = ()  # indices of further entries
    torn: tuple[int, int] | None = None  # index of the last kept entry, and how many of its sectors were written

    def entries(self, log: Sequence[Entry]) -> Iterator[Entry]:
        """The changes that were kept, in the order in which they apply."""
        yield from (entry for entry in log[: self.prefix] if entry.changes)
        yield from self.beyond(log)

    def beyond(self, log: Sequence[Entry]) -> Iterator[Entry]:
        """The same, without the prefix."""
        yield from (log[index] for index in self.kept if log[index].changes)
        if self.torn:
            index, sectors = self.torn
            yield replace(log[index], sectors=sectors, data=log[index].data[: sectors * SECTOR])


@dataclass(frozen=True)
class CrashState:
    """What all disks kept, at one moment of a run."""

    operation: int  # index of the operation before, during or after which the power goes
    phase: str  # "before", "during" or "after" it; after: the run has ended
    name: str  # tells it from the other states of that operation
    cuts: tuple[Cut, ...]  # one for each disk


def durable_part(log: Sequence[Entry], end: int) -> Cut:
    """What a disk keeps for certain of the first `end` entries."""
    begin = next((index + 1 for index in range(end - 1, -1, -1) if log[index].flushes), 0)
    return Cut(begin, tuple(index for index in range(begin, end) if log[index].durable))


def everything_up_to(log: Sequence[Entry], end: int) -> Cut:
    """A disk that keeps all of the first `end` entries."""
    begin = durable_part(log, end).prefix
    return Cut(begin, tuple(range(begin, end)))


def loose(log: Sequence[Entry], end: int) -> list[int]:
    """Indices of those of the first `end` entries that a disk may keep or lose."""
    return [
        index for index in range(durable_part(log, end).prefix, end) if log[index].changes and not log[index].durable
    ]


def crash_states(
    logs: Sequence[Sequence[Entry]], marks: Sequence[LogLengths], seed: str = SEED
) -> Iterator[CrashState]:
    """The states of a run, in its order. `marks[n]` is the mark before operation n; the last one is after all.

    Several disks have no common clock, so that a flush is a moment of its own only where no other disk was written
    to during the same operation; `flushes_without_a_moment` counts the others.
    """
    last = len(marks) - 1
    for n, mark in enumerate(marks):
        phase, prefix = ("before", "") if n < last else ("after", "after-")
        yield from _moment(logs, mark, CrashState(min(n, last - 1), phase, prefix, ()), seed)
        if n == last:
            return
        for number, (disk, flush) in enumerate(flushes(logs, mark, marks[n + 1]), start=1):
            at = tuple(flush if index == disk else end for index, end in enumerate(mark))
            state = CrashState(n, "during", f"flush-{number}", ())
            cuts = [durable_part(log, end) for log, end in zip(logs, at, strict=True)]
            cuts[disk] = everything_up_to(logs[disk], flush)
            yield replace(state, cuts=tuple(cuts))
            yield from _sampled(logs, at, replace(state, name=f"{state.name}-"), seed)


def flushes(logs: Sequence[Sequence[Entry]], begin: LogLengths, end: LogLengths) -> list[tuple[int, int]]:
    """(disk, index) of the flushes between two marks, if only one disk was used there."""
    used = [disk for disk in range(len(logs)) if begin[disk] < end[disk]]
    if len(used) != 1:
        return []
    [disk] = used
    return [(disk, index) for index in range(begin[disk], end[disk]) if logs[disk][index].flushes]


def flushes_without_a_moment(logs: Sequence[Sequence[Entry]], marks: Sequence[LogLengths]) -> int:
    """How many flushes are no moment of their own, because several disks were used in one operation."""
    return sum(
        log[index].flushes
        for begin, end in itertools.pairwise(marks)
        if not flushes(logs, begin, end)
        for log, first, last in zip(logs, begin, end, strict=True)
        for index in range(first, last)
    )


def _moment(logs: Sequence[Sequence[Entry]], at: LogLengths, state: CrashState, seed: str) -> Iterator[CrashState]:
    """The states of one moment: nothing loose kept, all of it, all of one disk only, and a sample of the others."""
    none = [durable_part(log, end) for log, end in zip(logs, at, strict=True)]
    every = [everything_up_to(log, end) for log, end in zip(logs, at, strict=True)]
    yield replace(state, name=f"{state.name}none", cuts=tuple(none))
    yield replace(state, name=f"{state.name}all", cuts=tuple(every))
    if len(logs) > 1:
        for disk in range(len(logs)):
            cuts = tuple(every[i] if i == disk else none[i] for i in range(len(logs)))
            yield replace(state, name=f"{state.name}disk-{disk + 1}", cuts=cuts)
    yield from _sampled(logs, at, state, seed)


def _sampled(logs: Sequence[Sequence[Entry]], at: LogLengths, state: CrashState, seed: str) -> Iterator[CrashState]:
    """Subsets of what is loose, and torn writes. Fewer than two loose writes have no subset of their own."""
    loose_entries = [(disk, index) for disk, log in enumerate(logs) for index in loose(log, at[disk])]
    # The seed of a moment is what came before it, not its place in the trace: a shorter trace changes nothing else.
    chance = random.Random(f"{seed} {at}")
    if len(loose_entries) > 1:
        for number in range(1, SUBSETS + 1):
            size = chance.randint(1, len(loose_entries) - 1)
            kept = sorted(chance.sample(loose_entries, size))
            yield replace(state, name=f"{state.name}subset-{number}", cuts=_cuts(logs, at, kept, None))
    long = [(disk, index) for disk, index in loose_entries if _tears(logs[disk][index])]
    for number in range(1, min(TORN, len(long)) + 1):
        disk, index = chance.choice(long)
        sectors = chance.choice(_tears(logs[disk][index]))
        kept = [pair for pair in loose_entries if pair[0] != disk or pair[1] < index]
        torn = (disk, index, sectors)
        yield replace(state, name=f"{state.name}torn-{number}", cuts=_cuts(logs, at, kept, torn))


def _tears(entry: Entry) -> list[int]:
    """After how many of its sectors a write may be torn: where a physical sector of the disk ends."""
    if not entry.data:
        return []
    first = ATOM - entry.sector % ATOM
    return list(range(first, entry.sectors, ATOM))


def _cuts(
    logs: Sequence[Sequence[Entry]], at: LogLengths, kept: Sequence[tuple[int, int]], torn: tuple[int, int, int] | None
) -> tuple[Cut, ...]:
    cuts = []
    for disk, (log, end) in enumerate(zip(logs, at, strict=True)):
        certain = durable_part(log, end)
        indices = {*certain.kept, *(index for owner, index in kept if owner == disk)}
        tear = torn[1:] if torn and torn[0] == disk else None
        if tear:  # what is durable by itself stays, also when it came later
            indices -= {tear[0]}
        cuts.append(Cut(certain.prefix, tuple(sorted(indices)), tear))
    return tuple(cuts)
