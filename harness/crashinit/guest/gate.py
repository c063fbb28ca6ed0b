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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import seccomp
from .decode import Decoder, thread_group
from .launch import Output, launch
from .names import read_text
from .process import environment
from .ready import Ready
from .uevents import Uevents

CGROUPS = Path("/sys/fs/cgroup/crashinit")
KILL_LIMIT = 10.0  # seconds that killed processes get to go away; one that hangs in the kernel never does
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
    ) -> None:
        self.ident = ident
        self.argv = list(argv)
        self.cgroup = CGROUPS / ident
        self.operations: list[dict[str, Any]] = []
        self.exit: int | None = None
        self.timed_out = False
        self._deadline = deadline
        self._stop: str | int = stop
        self._state = "running"
        self._held: seccomp.Notification | None = None
        self._answer: int | None = None  # errno for the held operation; 0: let it run; None: not decided
        self._failing: dict[tuple[str, str], int] = {}
        self._seen: Counter[tuple[str, str]] = Counter()
        self._programs: dict[int, tuple[int, str]] = {}
        self._trouble: BaseException | None = None
        self._begun = False  # the command's own exec has passed
        self._finished = False
        self._change = threading.Condition()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._output = Output()
        self.ready = False  # it is a daemon, and its init is over
        self._condition = Ready(ready, self._output.files) if ready else None
        self._decoder = Decoder(root)
        self._uevents = Uevents()
        self._began = time.monotonic()
        self._idle = 0.0  # seconds spent held so far
        self._held_since = 0.0
        self._ended_after = 0.0

    def seconds(self) -> float:
        """Since the run began, not counting the time that it was held."""
        now = self._held_since if self._held else time.monotonic()
        return now - self._began - self._idle

    # Calls of the agent

    def start(self, env: Mapping[str, str]) -> dict[str, Any]:
        """Start the command. Raises GateError when it cannot be started."""
        # e2fsprogs writes a superblock again if a second has passed since; with one time an init asks for the same each
        # time it is run (the variable is e2fsprogs' own, for its tests).
        given = environment({"E2FSPROGS_FAKE_TIME": str(int(time.time())), **env})
        program = shutil.which(self.argv[0], path=given["PATH"])
        if program is None:
            raise GateError(f"there is no program '{self.argv[0]}' in this machine")
        self.cgroup.mkdir(parents=True)
        try:
            self._pid, fd, line = launch(program, self.argv, given, self.cgroup, self._output)
        except OSError as error:
            self.cgroup.rmdir()
            raise GateError(f"'{program}' cannot be put under the gate: {error}") from None
        with line:
            self._listener = seccomp.Listener(fd)
            self._decoder.main = self._pid
            self._pidfd = os.pidfd_open(self._pid)
            self._began = time.monotonic()
            threading.Thread(target=self._serve, name=f"gate {self.ident}", daemon=True).start()
            trouble = line.recv(4096)
        if trouble:
            self._wait()
            raise GateError(f"'{program}' cannot be started: {trouble.decode()}")
        return self._wait()

    def resume(self, stop: str | int, number: int = 0, forever: bool = False) -> dict[str, Any]:
        """Let the held operation run, or fail with errno `number`; go on to the next stop."""
        with self._change:
            if self._held is None:
                raise GateError(f"the gate '{self.ident}' holds no operation")
            operation = self.operations[-1]
            if number:
                if operation["kind"] == "exit":
                    raise GateError("the end of a process cannot fail")
                operation["detail"]["errno"] = errno.errorcode.get(number, str(number))
                if forever:
                    self._failing[operation["kind"], operation["object"]] = number
            self._release(stop, number)
        return self._wait()

    def kill(self, victim: str) -> dict[str, Any]:
        """SIGKILL the command or its whole cgroup; returns when the victims are gone, with those that live on."""
        with self._change:
            if victim == "tree":
                (self.cgroup / "cgroup.kill").write_text("1")
            elif victim == "process":
                if self.exit is None:
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            else:
                raise GateError(f"'{victim}' is no victim: give 'process' or 'tree'")
            self._stop = "never"
            end = time.monotonic() + KILL_LIMIT
            while (self.exit is None or (victim == "tree" and self._populated())) and time.monotonic() < end:
                self._change.wait(0.1)
            # Only now: a call that is answered while the signal is still on its way would run all the same.
            if self._held is not None:
                if not self._listener.valid(self._held.id):
                    self.operations[-1]["detail"]["killed"] = victim
                self._release("never", 0)
        return {"survivors": self.alive()}

    def finish(self) -> dict[str, Any]:
        """The run, let go if it is held. Survivors of a killed command are served on until they end."""
        if self._held is not None and self._answer is None:  # after a kill it is answered, if not yet let go
            self.resume("never")
        with self._change:
            over = self.exit is not None or self.ready
            run = self._run(self._ended_after if over else self.seconds())
            run["operations"], run["uevents"] = list(self.operations), self._uevents.seen(self.seconds())
            self._finished = True
            self._poke()
        return run

    def stop(self, deadline: float) -> dict[str, Any]:
        """End a daemon that is ready, in the orderly way: SIGTERM, then wait. At the deadline its cgroup is killed."""
        begin = time.monotonic()
        with self._change:
            if self.exit is None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)
            self._change.wait_for(lambda: self.exit is not None, deadline)
            self.timed_out = self.exit is None
            if self.timed_out:
                (self.cgroup / "cgroup.kill").write_text("1")
                self._change.wait_for(lambda: self.exit is not None, KILL_LIMIT)
            return self._run(time.monotonic() - begin)

    def _run(self, seconds: float) -> dict[str, Any]:
        stdout, stderr = self._output.texts()
        return {
            "argv": self.argv,
            "exit": self.exit,
            "timed_out": self.timed_out,
            "stdout": stdout,
            "stderr": stderr,
            "seconds": round(seconds, 4),
            "operations": [],
            "uevents": [],
        }

    def alive(self) -> list[int]:
        """The processes of the run that live."""
        return [int(pid) for pid in read_text(self.cgroup / "cgroup.procs").split()]

    def _populated(self) -> bool:
        """Whether a process of the run lives or is still on its way out."""
        return "populated 1" in read_text(self.cgroup / "cgroup.events")

    def _wait(self) -> dict[str, Any]:
        with self._change:
            while self._state == "running":
                self._change.wait()
            if self._trouble is not None:
                raise GateError(f"the gate failed: {type(self._trouble).__name__}: {self._trouble}") from self._trouble
            return {
                "gate": self.ident,
                "state": self._state,
                "operation": self.operations[-1] if self._state == "stopped" else None,
                "processes": len(self.alive()),
                "exit": self.exit,
                "timed_out": self.timed_out,
            }

    def _release(self, stop: str | int, number: int) -> None:
        self._stop, self._answer, self._state = stop, number, "running" if self.exit is None else "ended"
        self._poke()

    def _poke(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_write(self._wake, 1)

    # The thread

    def _serve(self) -> None:
        """Answer notifications until no process of the run is left."""
        poll = select.poll()
        events = os.open(self.cgroup / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
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
                        self._let_go()
                    # First the events: the call that waits may take away the device that they speak of.
                    for fd in self._uevents.filenos():
                        if fd in ready:
                            self._uevents.take(fd, self.seconds())
                    if ready.get(listener, 0) & select.POLLIN:
                        self._notified()
                    elif ready.get(listener, 0) & select.POLLHUP:  # the last process under the filter is gone
                        listener = self._wake
                    if self._pidfd in ready:
                        poll.unregister(self._pidfd)
                        self._ended()
                    if self._waits_for_ready() and self._condition is not None and self._condition.met():
                        self._is_ready()
                    if self._held is None and self.seconds() > self._deadline:
                        self.timed_out = self.exit is None
                        self._deadline = float("inf")
                        (self.cgroup / "cgroup.kill").write_text("1")
                    if events in ready:
                        os.pread(events, 4096, 0)
                    self._change.notify_all()
                    if self._finished and self.exit is not None and not self._populated():
                        break
        except BaseException as error:
            with self._change:
                self._trouble, self._state = error, "ended"
                self._change.notify_all()
        self._close(events)

    def _patience(self) -> float | None:
        """Milliseconds until the next look at the clock; the deadline comes no nearer while a call is held."""
        if self._held or self._deadline == float("inf"):
            return None
        left = max(0.0, self._deadline - self.seconds())
        return (min(left, READY_CHECK) if self._waits_for_ready() else left) * 1000 + 1

    def _waits_for_ready(self) -> bool:
        return self._condition is not None and not self.ready and self.exit is None and self._held is None

    def _is_ready(self) -> None:
        """The init is over. The daemon is served on, but what it does from now on is no part of its init."""
        self.ready = True
        self._ended_after = self.seconds()
        self._deadline = float("inf")
        self._stop, self._state = "never", "ended"

    def _notified(self) -> None:
        call = self._listener.receive()
        if call is None:
            return
        if not self._begun and call.pid == self._pid and call.syscall == "execve":
            self._begun = True
            self._listener.go_on(call.id)
            return
        try:
            operation = self._decoder.decode(call)
        except OSError as error:
            # Its process has died, or the call names what is not there and will say so itself.
            if error.errno not in (errno.ESRCH, errno.ENOENT, errno.EFAULT, errno.EBADF, errno.ENOTDIR, errno.ELOOP):
                raise
            operation = None
        if not self._listener.valid(call.id):
            return  # it died, and what was read of it may have been another's
        if operation is None:
            self._listener.go_on(call.id)
            return
        what = (operation.kind, operation.object)
        if self.ready and what not in self._failing:
            self._listener.go_on(call.id)
            return
        self._seen[what] += 1
        pid, program = self._program(call)
        record = {
            "n": len(self.operations) + 1,
            "key": f"{operation.kind} {operation.object}#{self._seen[what]}",
            "kind": operation.kind,
            "object": operation.object,
            "detail": operation.detail,
            "pid": pid,
            "program": program,
            "seconds": round(self.seconds(), 4),
        }
        self.operations.append(record)
        if what in self._failing:
            operation.detail["errno"] = errno.errorcode.get(self._failing[what], str(self._failing[what]))
            self._listener.fail(call.id, self._failing[what])
        elif self._stop == "every" or self._stop in (record["n"], record["key"]):
            self._held_since = time.monotonic()
            self._held, self._state = call, "stopped"
        else:
            self._listener.go_on(call.id)

    def _program(self, call: seccomp.Notification) -> tuple[int, str]:
        """The process id and the name of the program that asks."""
        if call.pid not in self._programs:
            with suppress(OSError):
                pid = thread_group(call.pid)
                self._programs[call.pid] = (pid, read_text(Path(f"/proc/{pid}/comm")))
        found = self._programs.get(call.pid, (call.pid, ""))
        if call.syscall in ("execve", "execveat"):
            self._programs.pop(call.pid, None)
        return found

    def _let_go(self) -> None:
        """Answer the held call as the agent's thread decided."""
        if self._held is None or self._answer is None:
            return
        call, number = self._held, self._answer
        self._idle += time.monotonic() - self._held_since
        self._held = self._answer = None
        if number:
            self._listener.fail(call.id, number)
        else:
            self._listener.go_on(call.id)

    def _ended(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        self.exit = os.waitstatus_to_exitcode(status)
        if not self.ready:
            self._ended_after = self.seconds()
        self._stop = "never"
        if self._held is None:
            self._state = "ended"

    def _close(self, events: int) -> None:
        with suppress(OSError):
            self.cgroup.rmdir()
        with self._change:
            self._output.close()
        self._uevents.close()
        for fd in (events, self._wake, self._pidfd):
            os.close(fd)
        self._listener.close()
