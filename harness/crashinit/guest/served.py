"""The thread of a gate: it answers the filter's notifications for as long as one process of a run lives.

It goes on between the agent's calls: an orphaned mkfs works after the driver was killed.
"""

import errno
import os
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from . import seccomp
from .clock import Clock
from .decode import Decoder, Refused, Unseen
from .group import Group
from .launch import Output
from .operations import Operations, error_name
from .ready import Ready
from .rest import settle
from .state import Held, State
from .uevents import Uevents

KILL_LIMIT = 10.0  # seconds that killed processes get to go away; one that hangs in the kernel never does
SETTLE_LIMIT, SETTLE_CHECK = 2.0, 0.002  # seconds
READY_CHECK = 0.05  # seconds between two looks at whether a daemon is ready


class GateError(Exception):
    """A request that the gate cannot carry out."""


class Served:
    """One gated run, as its thread serves it; what the agent asks for is in gate.py."""

    _pid: int  # from here on known once the command has been started
    _pidfd: int
    _listener: seccomp.Listener

    def __init__(
        self,
        ident: str,
        argv: Sequence[str],
        root: str,
        deadline: float,
        stop: str | int,
        ready: Mapping[str, str] | None = None,
        *,
        reads: bool = False,
        delay: Callable[[], float] = lambda: 0.0,
        settles: bool = False,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        """`delay`: seconds that the next operation waits, so that others come to run before it. `settles`: each waits
        for udevd to be at rest, for a while. `limits`: what the command has to live with."""
        self.ident = ident
        self.argv = list(argv)
        self.exit: int | None = None
        self.timed_out = False
        self.hung = False  # alive KILL_LIMIT seconds after SIGKILL: it hangs in the kernel
        self.ready = False  # it is a daemon, and its init is over
        self._group = Group(ident)
        self._records = Operations()
        self._clock = Clock(deadline)
        self._past_deadline = False
        self._stop: str | int = stop
        self._held: Held | None = None
        self._failing: dict[tuple[str, str], int] = {}
        self._trouble: BaseException | None = None
        self._begun = False  # the command's own exec has passed
        self._finished = False
        self._change = threading.Condition()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._output = Output()
        self._condition = Ready(ready, self._output.files) if ready else None
        self._reads = reads
        self._delay = delay
        self._settles = settles
        self._limits = dict(limits or {})
        self._decoder = Decoder(root, reads=reads)
        self._unseen: Counter[str] = Counter()
        self._uevents = Uevents()
        self._ended_after = 0.0
        self._busy: float | None = None  # seconds of CPU time up to the end

    @property
    def state(self) -> State:
        """Where the run is."""
        if self._trouble is not None:
            return State.FAILED
        if self._held is not None:
            return State.HELD if self._held.decision is None else State.ANSWERED
        if self.exit is not None or self.hung:
            return State.ENDED
        return State.READY if self.ready else State.RUNNING

    def _check(self) -> None:
        """Raise GateError if the gate has failed: what the run did from then on is not its own doing."""
        if self._trouble is not None:
            raise GateError(f"the gate failed: {type(self._trouble).__name__}: {self._trouble}") from self._trouble

    def _decide(self, number: int) -> None:
        """The held call fails with errno `number`, or runs; the thread tells the kernel."""
        if self._held is not None:
            self._held.decision = number
        self._wake_thread()

    def _wake_thread(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_write(self._wake, 1)

    def _serve(self) -> None:
        """Answer notifications until no process of the run is left."""
        poll = select.poll()
        events = self._group.events()
        poll.register(events, select.POLLPRI)
        for fd in (self._wake, self._pidfd, *self._uevents.filenos()):
            poll.register(fd, select.POLLIN)
        listener = self._listener.fd
        try:
            while True:
                # A held call holds all others: the run's operations stay in one order.
                poll.register(listener, 0 if self._held else select.POLLIN)
                ready = dict(poll.poll(self._patience()))
                with self._change:
                    if self._wake in ready:
                        os.eventfd_read(self._wake)
                        self._answer_held_call()
                    # First the events: the call that waits may take away the device that they speak of.
                    for fd in self._uevents.filenos():
                        if fd in ready:
                            self._uevents.take(fd, self._clock.seconds())
                    if ready.get(listener, 0) & select.POLLIN:
                        self._notified()
                    elif ready.get(listener, 0) & select.POLLHUP:  # the last process under the filter is gone
                        listener = self._wake
                    if self._pidfd in ready:
                        poll.unregister(self._pidfd)
                        self._ended()
                    if self._waits_for_ready() and self._condition is not None and self._condition.met():
                        self._is_ready()
                    self._keep_deadline()
                    if events in ready:
                        os.pread(events, 4096, 0)
                    self._change.notify_all()
                    if self._finished and self.exit is not None and not self._group.populated():
                        break
        except BaseException as error:
            with self._change:
                self._trouble = error
                self._change.notify_all()
            with suppress(OSError):
                self._group.kill()  # from now on its calls would fail with ENOSYS
        self._close(events)

    def _patience(self) -> float | None:
        """Milliseconds until the next look at the clock; None: until something happens."""
        left = self._clock.left()
        if left is None:
            return None
        return (min(left, READY_CHECK) if self._waits_for_ready() else left) * 1000 + 1

    def _waits_for_ready(self) -> bool:
        return self._condition is not None and self.state is State.RUNNING

    def _is_ready(self) -> None:
        """The init is over. The daemon is served on, but what it does from now on is no part of its init."""
        self.ready = True
        self._ended_after = self._clock.seconds()
        self._clock.extend(float("inf"))
        self._stop = "never"

    def _keep_deadline(self) -> None:
        """At the deadline the run is killed; who is there KILL_LIMIT later will never go, and nobody waits for it."""
        if not self._clock.past():
            return
        if not self._past_deadline:
            self._past_deadline = True
            self.timed_out = self.exit is None
            self._busy = self._group.busy()
            self._group.kill()
            self._clock.extend(KILL_LIMIT)
            return
        self._clock.extend(float("inf"))
        self.hung = self.exit is None
        if self.hung:
            self._ended_after = self._clock.seconds()

    def _notified(self) -> None:
        call = self._listener.receive()
        if call is None:
            return
        if not self._begun and call.pid == self._pid and call.syscall == "execve":
            self._begun = True
            self._listener.go_on(call.id)
            return
        operation = self._decoder.decode(call)
        if not self._listener.valid(call.id):
            return  # it died, and what was read of it may have been another's
        if isinstance(operation, Refused):
            self._unseen[operation.what] += 1
            self._listener.fail(call.id, errno.ENOSYS)
            return
        if isinstance(operation, Unseen):
            self._unseen[operation.what] += 1
            operation = None
        if operation is None:
            self._listener.go_on(call.id)
            return
        if self._settles:
            settle(SETTLE_LIMIT, SETTLE_CHECK)  # it may wait for a device that only the next operation brings to life
        if (delay := self._delay()) > 0:
            time.sleep(delay)
        what = (operation.kind, operation.object)
        if self.ready and what not in self._failing:
            self._listener.go_on(call.id)
            return
        record = self._records.add(call, operation, self._clock.seconds())
        if what in self._failing:
            operation.detail["errno"] = error_name(self._failing[what])
            self._listener.fail(call.id, self._failing[what])
        elif self._stop == "every" or self._stop in (record["n"], record["key"]):
            self._held = Held(call)
            self._clock.stand()
        else:
            self._listener.go_on(call.id)

    def _answer_held_call(self) -> None:
        """Answer as the agent's thread decided."""
        held = self._held
        if held is None or held.decision is None:
            return
        self._held = None
        self._clock.go()
        if held.decision:
            self._listener.fail(held.call.id, held.decision)
        else:
            self._listener.go_on(held.call.id)

    def _ended(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        self.exit = os.waitstatus_to_exitcode(status)
        if not self.ready:
            self._ended_after = self._clock.seconds()
            if self._busy is None:
                self._busy = self._group.busy()
        self._stop = "never"

    def _close(self, events: int) -> None:
        with suppress(OSError):
            self._group.remove()
        with self._change:
            self._output.close()
        if self._condition is not None:
            self._condition.close()
        self._uevents.close()
        for fd in (events, self._wake, self._pidfd):
            os.close(fd)
        self._listener.close()
