"""What runs in a dask worker: it sees to it that the host has all that a trial needs, and hands the trial on."""

import asyncio
import threading

from distributed import Worker, get_worker

from crashinit.cluster import goods
from crashinit.cluster.hands import Hands
from crashinit.cluster.work import DIED, LACKS, REFUSED, Answer, Unit, Work, identity
from crashinit.errors import CrashinitError
from crashinit.machine.seed import with_guest
from crashinit.model.trial import Trial

_hands: dict[tuple[str, int], Hands] = {}  # by run, and by the dask worker's thread
_over: set[str] = set()  # runs of which this process takes nothing more
_leaving: "set[asyncio.Future[object]]" = set()  # asyncio itself holds them weakly
_lock = threading.Lock()


def unit(whole: Unit) -> Unit:
    """A task that has a unit as its result, so that this worker holds it."""
    return whole


def take(trial: Trial, whole: Unit) -> Answer:
    """A task: one trial."""
    worker = get_worker()
    try:
        answer = _taken(trial, whole, worker)
    except CrashinitError as error:
        answer = {REFUSED: str(error)}
    return {**answer, "worker": worker.address}


def _taken(trial: Trial, whole: Unit, worker: Worker) -> Answer:
    work = whole.work
    if work.identity != identity():
        return {REFUSED: f"it has crashinit {identity()}, and this is {work.identity}"}
    if lacking := [name for name in goods.lacking(work) if not goods.fetch(work, name)]:
        return {LACKS: lacking}
    hands = _mine(work)
    if hands is None:
        return {DIED: "the end of the run"}
    worker.log_event(work.id, {"trial": trial.id, "worker": worker.address, "thread": threading.get_ident()})
    return hands.run(trial, whole)


def _mine(work: Work) -> Hands | None:
    """The process that this thread has for a run; None once the run is over."""
    place = work.id, threading.get_ident()
    with _lock:
        if work.id in _over:
            return None
        hands = _hands.get(place)
        if hands is None or not hands.alive:
            driver, guest = goods.places(work)
            make = work.kind(driver, with_guest(work.provider, guest), goods.directory(work), work.merges)
            hands = _hands[place] = Hands(make, work.accel)
        return hands


async def leave(run: str) -> None:
    """End all that this worker has of a run; no trial of it is begun any more."""
    await asyncio.to_thread(_leave, run)


async def dismiss(dask_worker: Worker) -> None:
    """End this dask worker, once this call has been answered."""
    leaving = asyncio.ensure_future(dask_worker.close(nanny=True, reason="crashinit cannot work here"))
    _leaving.add(leaving)


def _leave(run: str) -> None:
    with _lock:
        _over.add(run)
        ending = [_hands.pop(place) for place in list(_hands) if place[0] == run]
    for hands in ending:
        hands.end()
