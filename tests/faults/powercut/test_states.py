"""Crash states over logs: what may be lost, and what may not."""

import pytest
from crashinit.faults.powercut.log import LOG_DISCARD_FLAG, LOG_FLUSH_FLAG, LOG_FUA_FLAG, SECTOR, Entry
from crashinit.faults.powercut.states import (
    ATOM,
    CrashState,
    Cut,
    LogLengths,
    crash_states,
    durable_part,
    flushes,
    flushes_without_a_moment,
    loose,
)
from crashinit.machine.qemu.qemu import PHYSICAL_SECTOR
from hypothesis import given, settings
from hypothesis import strategies as st

FLUSH = Entry(0, 0, LOG_FLUSH_FLAG)


def write(sector: int, sectors: int = ATOM, flags: int = 0) -> Entry:
    return Entry(sector, sectors, flags, bytes([sector % 251 + 1]) * sectors * SECTOR)


LOG = [write(0), FLUSH, write(8), write(16, 3 * ATOM), write(64), FLUSH, write(72)]


def kept(cut: Cut, log: list[Entry]) -> list[Entry]:
    return list(cut.entries(log))


def named(states: list[CrashState]) -> dict[str, CrashState]:
    return {state.name: state for state in states}


entries = st.one_of(
    st.just(FLUSH),
    st.integers(0, 31).map(lambda n: write(n * 8, 8 * (n % 3 + 1))),
    st.integers(0, 31).map(lambda n: write(n * 8, flags=LOG_FUA_FLAG)),
    st.integers(0, 31).map(lambda n: Entry(n * 8, 8, LOG_DISCARD_FLAG)),
)


@st.composite
def runs(draw: st.DrawFn, disks: int) -> tuple[list[list[Entry]], list[LogLengths]]:
    """Logs of a run, and its marks, which never go back."""
    logs = [draw(st.lists(entries, max_size=12)) for _ in range(disks)]
    steps = draw(st.integers(1, 4))
    rows = [sorted(draw(st.lists(st.integers(0, len(log)), min_size=steps, max_size=steps))) for log in logs]
    marks = [tuple(row[i] for row in rows) for i in range(steps)]
    return logs, [*marks, tuple(len(log) for log in logs)]


def test_atoms_are_the_disks_physical_sectors() -> None:
    """What is torn, and what machines are told of their disks, is one size."""
    assert ATOM * SECTOR == PHYSICAL_SECTOR


def test_what_was_flushed_is_certain() -> None:
    """All before the last flush stays; what came after it may go."""
    assert durable_part(LOG, 5) == Cut(2)
    assert loose(LOG, 5) == [2, 3, 4]
    assert loose(LOG, 6) == []


def test_fua_is_durable_by_itself() -> None:
    """A write with FUA stays although nothing was flushed after it; its neighbours may go."""
    log = [write(0), write(8, flags=LOG_FUA_FLAG), write(16)]

    assert durable_part(log, 3) == Cut(0, (1,))
    assert loose(log, 3) == [0, 2]


def test_boundary_has_none_and_all() -> None:
    """Before an operation the disk holds what was flushed, or all that was written."""
    states = named(list(crash_states([LOG], [(5,), (5,)])))

    assert kept(states["none"].cuts[0], LOG) == [LOG[0]]
    assert kept(states["all"].cuts[0], LOG) == [LOG[0], LOG[2], LOG[3], LOG[4]]
    assert states["after-all"].phase == "after"


def test_each_flush_is_a_moment() -> None:
    """A flush inside an operation is a state: all before it, nothing after it."""
    states = named(list(crash_states([LOG], [(0,), (7,)])))

    assert kept(states["flush-1"].cuts[0], LOG) == [LOG[0]]
    assert kept(states["flush-2"].cuts[0], LOG) == [LOG[0], LOG[2], LOG[3], LOG[4]]
    assert states["flush-2"].phase == "during"


def test_torn_write_ends_at_a_physical_sector() -> None:
    """A torn write is the first part of one loose write, cut where a physical sector ends."""
    torn = named(list(crash_states([LOG], [(5,), (5,)])))["torn-1"].cuts[0]

    assert torn.torn is not None
    index, sectors = torn.torn
    assert index == 3
    assert sectors in (ATOM, 2 * ATOM)
    assert kept(torn, LOG)[-1].data == LOG[3].data[: sectors * SECTOR]


def test_write_of_one_physical_sector_is_never_torn() -> None:
    """A disk writes a physical sector whole or not at all."""
    log = [write(8), write(16)]

    assert [state.name for state in crash_states([log], [(2,), (2,)]) if "torn" in state.name] == []


def test_same_seed_same_states() -> None:
    """The sample depends on the seed and the moment alone."""
    marks = [(5,), (7,)]

    assert list(crash_states([LOG], marks, "a")) == list(crash_states([LOG], marks, "a"))
    assert any(list(crash_states([LOG], marks, "a")) != list(crash_states([LOG], marks, str(n))) for n in range(9))


def test_order_of_two_disks_is_not_made_up() -> None:
    """Flushes of an operation that used two disks are no moments: nobody knows which came first."""
    logs = [[write(0), FLUSH], [write(8), FLUSH]]

    assert flushes(logs, (0, 0), (2, 2)) == []
    assert flushes_without_a_moment(logs, [(0, 0), (2, 2)]) == 2
    assert flushes(logs, (0, 0), (2, 0)) == [(0, 1)]
    assert flushes_without_a_moment(logs, [(0, 0), (2, 0), (2, 2)]) == 0


def test_one_disk_may_keep_what_another_loses() -> None:
    """At a boundary each of several disks may have kept all, and the others nothing."""
    logs = [[write(0)], [write(8)]]
    states = named(list(crash_states(logs, [(1, 1), (1, 1)])))

    assert [kept(cut, log) for cut, log in zip(states["disk-1"].cuts, logs, strict=True)] == [logs[0], []]
    assert [kept(cut, log) for cut, log in zip(states["disk-2"].cuts, logs, strict=True)] == [[], logs[1]]


@pytest.mark.parametrize("disks", [1, 2])
@settings(deadline=None)
@given(data=st.data())
def test_no_state_is_impossible(disks: int, data: st.DataObject) -> None:
    """Every state keeps all that was flushed before its moment, nothing from after its operation, each entry once."""
    logs, marks = data.draw(runs(disks))
    for state in crash_states(logs, marks):
        last = marks[min(state.operation + (state.phase != "before"), len(marks) - 1)]
        for log, cut, begin, end in zip(logs, state.cuts, marks[state.operation], last, strict=True):
            indices = [*range(cut.prefix), *cut.kept, *([cut.torn[0]] if cut.torn else [])]
            assert len(indices) == len(set(indices))
            assert max(indices, default=-1) < end
            durable = durable_part(log, begin)
            assert set(indices) >= {*range(durable.prefix), *durable.kept}


@settings(deadline=None)
@given(runs(2))
def test_prefixes_never_go_back(run: tuple[list[list[Entry]], list[LogLengths]]) -> None:
    """States come in the order of the run, so that an image can be built on the one before."""
    logs, marks = run
    for disk in range(2):
        prefixes = [state.cuts[disk].prefix for state in crash_states(logs, marks)]
        assert prefixes == sorted(prefixes)


@settings(deadline=None)
@given(runs(1))
def test_names_are_unique(run: tuple[list[list[Entry]], list[LogLengths]]) -> None:
    """An operation and a name tell a state from every other."""
    states = list(crash_states(*run))

    assert len({(state.operation, state.name) for state in states}) == len(states)
