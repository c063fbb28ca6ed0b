"""The owner's end of a campaign on a cluster: units become tasks of dask's, and what comes home becomes messages.

Which worker takes which trial is dask's to say; see `Unit` for what it weighs. A trial is one task, and has one result:
what a lost worker had in hand dask runs elsewhere, and what it had done and not sent as well.
"""

import itertools
import queue
import tempfile
import threading
import uuid
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Client, Future, KilledWorker

from crashinit.campaign.planning import Runners
from crashinit.campaign.workers import Begun, Done, Failed, Group, MakeRunner, Message, Told
from crashinit.cluster import host
from crashinit.cluster.goods import Sender, called
from crashinit.cluster.work import DIED, LACKS, REFUSED, Answer, Unit, Work, answered, identity
from crashinit.errors import HostError
from crashinit.model.trial import Trial

AHEAD = 4  # trials that are handed out for each of the cluster's threads
LEAST = 64  # trials that are handed out at least
LIVES = 3  # workers that one trial may be begun on and that die meanwhile
MEMBERS = "all"  # the topic of dask's on which workers come and go
LEAVING = 60.0  # seconds that the workers get to end their machines


class Cluster:
    """The workers of a dask cluster, as an engine for campaigns."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def run(self, groups: Sequence[Group], make_runner: MakeRunner) -> Generator[Message | Told]:
        """See Engine."""
        assert isinstance(make_runner, Runners)
        if not groups:
            return
        with tempfile.TemporaryDirectory(prefix="crashinit-") as where:
            trials = [trial for group in groups for trial in group]
            sender = Sender(make_runner, trials, Path(where))
            work = sender.work(make_runner, f"crashinit-{uuid.uuid4().hex[:12]}", identity())
            yield from _Run(self._client, sender, work, groups).messages()


@dataclass
class _Held:
    """A unit that is handed out, and how many of its trials have not come home."""

    unit: Unit
    future: Future | None  # None: it has one trial, which takes it along
    left: int


@dataclass
class _Task:
    """A trial that is handed out."""

    trial: Trial
    held: _Held
    future: Future


@dataclass
class _Run:
    client: Client
    sender: Sender
    work: Work
    groups: Sequence[Group]
    inbox: "queue.SimpleQueue[Any]" = field(default_factory=queue.SimpleQueue)
    tasks: dict[str, _Task] = field(default_factory=dict)  # by their keys
    parcels: dict[str, list[Future]] = field(default_factory=dict)  # what was sent out
    begun: Counter[Trial] = field(default_factory=Counter)
    numbers: dict[object, int] = field(default_factory=dict)  # of the workers, for those who look on
    refused: set[str] = field(default_factory=set)
    keys: Iterator[int] = field(default_factory=itertools.count)

    def messages(self) -> Generator[Message | Told]:
        """What happens, as it happens; ends all that runs when it is closed."""
        waiting = deque(enumerate(self.groups))
        topics = (self.work.id, MEMBERS)
        try:
            for topic in topics:
                self.client.subscribe_topic(topic, self.inbox.put)
            ahead = self._ahead()
            while waiting or self.tasks:
                while waiting and len(self.tasks) < ahead:
                    self._hand_out(*waiting.popleft())
                found = [self.inbox.get()]
                with suppress(queue.Empty):
                    while True:
                        found.append(self.inbox.get_nowait())
                for event in (one for one in found if not isinstance(one, Future)):
                    yield from self._happened(event[1])
                    ahead = self._ahead() if event[1].get("action") in ("add-worker", "remove-worker") else ahead
                yield from self._home([one for one in found if isinstance(one, Future)])
        finally:
            self._end(topics)

    def _ahead(self) -> int:
        """How many trials are to be handed out: enough that no worker waits for this process."""
        threads: int = sum(self.client.nthreads().values())
        return max(LEAST, AHEAD * threads)

    def _hand_out(self, number: int, group: Group) -> None:
        unit = Unit(self.work, number, tuple(group))
        future = None
        if len(group) > 1:
            key = f"{self.work.id}-unit", number
            future = self.client.submit(host.unit, unit, key=key, priority=0)
        held = _Held(unit, future, len(group))
        for trial in group:
            self._submit(trial, held)

    def _submit(self, trial: Trial, held: _Held) -> None:
        number = next(self.keys)
        key = f"{self.work.id}-trial", number
        place = held.future or held.unit
        future = self.client.submit(host.take, trial, place, key=key, priority=-number)
        self.tasks[future.key] = _Task(trial, held, future)
        future.add_done_callback(self.inbox.put)

    def _happened(self, event: dict[str, Any]) -> Iterator[Message | Told]:
        """What the cluster tells: a trial has begun, a worker has come or is lost."""
        address = event.get("worker", "")
        if "trial" in event:
            trial = next((one.trial for one in self.tasks.values() if one.trial.id == event["trial"]), None)
            if trial:
                self.begun[trial] += 1
                number = self.numbers.setdefault((address, event["thread"]), len(self.numbers) + 1)
                yield Begun(trial, number)
        elif event.get("action") == "add-worker":
            yield Told(f"a worker has come: {address}")
        elif event.get("action") == "remove-worker" and address not in self.refused:
            yield Told(f"the worker {address} is gone: what it had in hand is run elsewhere")

    def _home(self, futures: Sequence[Future]) -> Iterator[Message | Told]:
        ended = [future for future in futures if future.key in self.tasks]
        done = [future for future in ended if future.status == "finished"]
        try:
            answers: Iterable[Answer | BaseException] = self.client.gather(done)
        except Exception:  # one of them is lost, and cannot be had again
            answers = [_of(future) for future in done]
        pairs = [*zip(done, answers, strict=True)]
        pairs += [(future, _of(future)) for future in ended if future not in done]
        for future, answer in pairs:
            yield from self._one(self.tasks.pop(future.key), answer)

    def _one(self, task: _Task, answer: Answer | BaseException) -> Iterator[Message | Told]:
        """What came of one task: the trial's end, or a reason to run it elsewhere."""
        trial = task.trial
        if isinstance(answer, KilledWorker | LostError) or (not isinstance(answer, BaseException) and DIED in answer):
            if self.begun[trial] < LIVES:
                self._submit(trial, task.held)
                return
            fate = "the dask workers" if isinstance(answer, BaseException) else f"the last by {answer[DIED]}"
            result: Done | Failed = Failed(trial, f"its worker died {self.begun[trial]} times ({fate})")
        elif isinstance(answer, BaseException):
            result = Failed(trial, f"the harness failed: {type(answer).__name__}: {answer}")
        elif LACKS in answer:
            for name in answer[LACKS]:
                yield from self._send(name, answer["worker"])
            self._submit(trial, task.held)
            return
        elif REFUSED in answer:
            yield from self._refuse(answer["worker"], answer[REFUSED])
            self._submit(trial, task.held)
            return
        else:
            result = answered(trial, answer)
        task.held.left -= 1
        if not task.held.left:
            task.held.future = None
        yield result

    def _send(self, name: str, address: str) -> Iterator[Told]:
        """Send goods out, unless they are on their way whole."""
        known = self.parcels.get(name)
        if known and all(one.status == "finished" for one in known):
            return
        what = "the image of the machines" if name == self.work.image else "the run's files"
        yield Told(f"sending {what} to the cluster: {address} lacks it")
        pieces = [self.client.scatter(piece, hash=False) for piece in self.sender.pieces(name)]
        self.client.publish_dataset(pieces, name=called(self.work, name), override=True)
        self.parcels[name] = pieces

    def _refuse(self, address: str, reason: str) -> Iterator[Told]:
        """Send a worker away that cannot do its part. Raises HostError when it is the last one."""
        if address in self.refused:
            return
        self.refused.add(address)
        self.client.run(host.dismiss, workers=[address], on_error="ignore")
        if not set(self.client.nthreads()) - self.refused:
            raise HostError(f"no worker of the cluster can run a trial; the last one, {address}: {reason}")
        yield Told(f"the worker {address} is sent away: {reason}")

    def _end(self, topics: Sequence[str]) -> None:
        """Cancel what waits, end what runs, and wait for it."""
        for topic in topics:
            with suppress(Exception):
                self.client.unsubscribe_topic(topic)
        for name in self.parcels:
            with suppress(Exception):
                self.client.unpublish_dataset(called(self.work, name))
        with suppress(Exception):  # the cluster is gone, and all of the run with it
            self.client.cancel([task.future for task in self.tasks.values()], force=True)
        ending = threading.Thread(target=self._leave, daemon=True)
        ending.start()
        ending.join(LEAVING)
        self.tasks.clear()
        self.parcels.clear()

    def _leave(self) -> None:
        with suppress(Exception):
            self.client.run(host.leave, self.work.id, on_error="ignore")


class LostError(Exception):
    """What came of a trial went with the worker that had it."""


def _of(future: Future) -> Answer | BaseException:
    """What came of a task that has ended. Raises HostError when the scheduler forgot it."""
    if future.status == "lost":
        return LostError("the worker that had its result is gone")
    if future.cancelled():
        raise HostError("the cluster's scheduler is gone, or was restarted: go on with '--resume' when it is there.")
    try:
        answer: Answer = future.result()
    except Exception as error:
        return error
    return answer
