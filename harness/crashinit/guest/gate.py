"""The gate: runs a command under a seccomp filter and stops it before each operation that it is asked to stop at.

A gate has a thread of its own that answers the filter's notifications for as long as one process of the run
lives, also between the agent's calls: an orphaned mkfs goes on after the driver was killed.
"""

import errno
import os
import select
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from . import seccomp
from .clock import Clock
from .decode import Decoder, Refused, Unseen
from .group import Group
from .launch import Output, launch
from .operations import Operations, error_name
from .process import environment
from .ready import Ready
from .state import Held, State
from .uevents import Uevents

KILL_LIMIT = 10.0  # seconds that killed processes get to go away; one that hangs in the kernel never does
KILL_CHECK = 0.02  # seconds between two looks at who of the killed is still there
READY_CHECK = 0.05  # seconds between two looks at whether a daemon is ready


class GateError(Exception):
    """A request that the gate cannot carry out."""


class Gate:
    """One gated run. Its methods are for the agent's thread; each returns when the run is stopped or has ended."""

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
    ) -> None:
        """`delay`: seconds that the next operation waits, so that others come to run before it."""
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

    # Calls of the agent

    def start(self, env: Mapping[str, str]) -> dict[str, Any]:
        """Start the command. Raises GateError when it cannot be started."""
        # e2fsprogs writes a superblock again if a second has passed since; with one time an init asks for the same each
        # time it is run (the variable is e2fsprogs' own, for its tests).
        given = environment({"E2FSPROGS_FAKE_TIME": str(int(time.time())), **env})
        program = shutil.which(self.argv[0], path=given["PATH"])
        if program is None:
            raise GateError(f"there is no program '{self.argv[0]}' in this machine")
        self._group.make()
        try:
            self._pid, fd, line = launch(program, self.argv, given, self._group.path, self._output, reads=self._reads)
        except OSError as error:
            self._group.remove()
            raise GateError(f"'{program}' cannot be put under the gate: {error}") from None
        with line:
            self._listener = seccomp.Listener(fd)
            self._decoder.view.main = self._pid
            self._pidfd = os.pidfd_open(self._pid)
            self._clock.begin()
            threading.Thread(target=self._serve, name=f"gate {self.ident}", daemon=True).start()
            trouble = line.recv(4096)
        if trouble:
            self._wait()
            raise GateError(f"'{program}' cannot be started: {trouble.decode()}")
        return self._wait()

    def resume(self, stop: str | int, number: int = 0, forever: bool = False) -> dict[str, Any]:
        """Let the held operation run, or fail with errno `number`; go on to the next stop."""
        with self._change:
            self._check()
            if self._held is None:
                raise GateError(f"the gate '{self.ident}' holds no operation")
            operation = self._records.all[-1]
            if number:
                if operation["kind"] == "exit":
                    raise GateError("the end of a process cannot fail")
                operation["detail"]["errno"] = error_name(number)
                self._decoder.view.data = True  # what follows differs from fault to fault, and is compared
                if forever:
                    self._failing[operation["kind"], operation["object"]] = number
            self._stop = stop
            self._decide(number)
        return self._wait()

    def kill(self, victim: str) -> dict[str, Any]:
        """SIGKILL the command or its whole cgroup; returns when the victims are gone, with those that live on."""
        with self._change:
            if victim == "tree":
                self._group.kill()
            elif victim == "process":
                if self.exit is None:
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            else:
                raise GateError(f"'{victim}' is no victim: give 'process' or 'tree'")
            self._stop = "never"
            end = time.monotonic() + KILL_LIMIT
            while self._trouble is None and not self._gone(victim) and time.monotonic() < end:
                self._change.wait(KILL_CHECK)
            self._check()
            self.hung = self.exit is None
            # Only now: a call that is answered while the signal is still on its way would run all the same.
            if self._held is not None:
                if not self._listener.valid(self._held.call.id):
                    self._records.all[-1]["detail"]["killed"] = victim
                self._decide(0)
        return {"survivors": self._group.alive()}

    def _gone(self, victim: str) -> bool:
        """Whether those that were killed are gone, and with them what a parent-death signal has killed."""
        if self.exit is None:
            return False
        return not (self._group.populated() if victim == "tree" else self._group.dying())

    def finish(self) -> dict[str, Any]:
        """The run, let go if it is held. Survivors of a killed command are served on until they end."""
        if self.state is State.HELD:
            self.resume("never")
        with self._change:
            self._check()
            over = self.exit is not None or self.ready or self.hung
            run = self._run(self._ended_after if over else self._clock.seconds())
            run["busy"] = self._group.busy() if self._busy is None else self._busy
            run["operations"], run["uevents"] = list(self._records.all), self._uevents.seen(self._clock.seconds())
            self._finished = True
            self._wake_thread()
        return run

    def stop(self, deadline: float) -> dict[str, Any]:
        """End a daemon that is ready, in the orderly way: SIGTERM, then wait. At the deadline its cgroup is killed."""
        begin = time.monotonic()

        def over() -> bool:
            return self.exit is not None or self._trouble is not None

        with self._change:
            self._check()
            busy = self._group.busy()
            if self.exit is None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)
            self._change.wait_for(over, deadline)
            self._check()
            self.timed_out = self.exit is None
            if self.timed_out:
                busy_now = self._group.busy()
                self._busy = None if busy is None or busy_now is None else busy_now - busy
                self._group.kill()
                self._change.wait_for(over, KILL_LIMIT)
                self._check()
                self.hung = self.exit is None
            return {**self._run(time.monotonic() - begin), "busy": self._busy if self.timed_out else None}

    def _run(self, seconds: float) -> dict[str, Any]:
        stdout, stderr = self._output.texts()
        return {
            "argv": self.argv,
            "exit": self.exit,
            "timed_out": self.timed_out,
            "hung": self.hung,
            "stdout": stdout,
            "stderr": stderr,
            "seconds": round(seconds, 9),
            "operations": [],
            "uevents": [],
            "unseen": [f"{what} (calls: {count})" for what, count in sorted(self._unseen.items())],
        }

    def _check(self) -> None:
        """Raise GateError if the gate has failed: what the run did from then on is not its own doing."""
        if self._trouble is not None:
            raise GateError(f"the gate failed: {type(self._trouble).__name__}: {self._trouble}") from self._trouble

    def _wait(self) -> dict[str, Any]:
        with self._change:
            self._change.wait_for(lambda: self.state not in (State.RUNNING, State.ANSWERED))
            self._check()
            held = self.state is State.HELD
            return {
                "gate": self.ident,
                "state": "stopped" if held else "ended",
                "operation": self._records.all[-1] if held else None,
                "processes": len(self._group.alive()),
                "exit": self.exit,
                "timed_out": self.timed_out,
            }

    def _decide(self, number: int) -> None:
        """The held call fails with errno `number`, or runs; the thread tells the kernel."""
        if self._held is not None:
            self._held.decision = number
        self._wake_thread()

    def _wake_thread(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_write(self._wake, 1)

    # The thread

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
