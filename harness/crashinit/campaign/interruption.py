"""A process that is ended from outside ends as by Ctrl-C: with its report, and nothing left.

A cancelled CI job sends SIGTERM, a terminal that is closed SIGHUP.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def as_ctrl_c() -> Iterator[None]:
    """Have SIGTERM and SIGHUP raise KeyboardInterrupt; what nohup(1) ignores stays ignored. In the main thread only."""
    ends = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, _interrupt) for number in ends}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def left_to_the_owner() -> Iterator[None]:
    """Have a worker pass over the end of the terminal: its owner hears of it too, and ends the worker in order."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """As Ctrl-C. A terminal that goes away says so more than once: the second time is not to cut off the report."""
    if signal.getsignal(signal.SIGHUP) == _interrupt:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logging.getLogger("asyncio").disabled = True  # it would tell of what the interruption has cut off
    signal.default_int_handler(number, frame)


def speak_to_nobody_if_the_terminal_is_gone() -> None:
    """Whatever is still printed goes nowhere, instead of ending the process while it writes its report."""
    for stream in (sys.stdout, sys.stderr):
        try:
            os.write(stream.fileno(), b"")
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
