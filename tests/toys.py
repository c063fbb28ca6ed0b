"""Toy drivers and their scenarios, and programs run as processes of their own: what several test modules need."""

import os
import subprocess
import sys
from pathlib import Path

from crashinit.model.trial import Point, Setup, Trial

# A driver that makes nothing of what Docker's does.
NO_POOL = """
[not_applicable]
C02 = "no pool"
C03 = "no pool"
C06 = "no base"
C07 = "no base"
C08 = "no base"
C10 = "no pool"
"""
# A scenario of few trials for any driver.
STRIKE = "title: killed at each boundary\nname: s\nstep: all\nrestarts: 1\n"


def shell_driver(script: str, name: str = "shell") -> str:
    """The adapter of a driver whose init is a shell's script, which holds none of ''' and may name {root}."""
    return (
        f'name = "{name}"\ntitle = "a driver in a few lines"\nroot = "/var/lib/{name}"\n'
        f'init = ["sh", "-c", \'\'\'\nmkdir -p {{root}}; {script}\n\'\'\', "x", "{{options}}"]\n'
        f'shutdown = ["true"]\n{NO_POOL}'
    )


def environment(**variables: str) -> dict[str, str]:
    """That of this process, in which a program of its own finds the same modules."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **variables}


def python(module: str, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """A module as a process of its own."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment(**variables), capture_output=True, text=True)


def crashinit(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    return python("crashinit.cli", *arguments)


def planned(name: str) -> Trial:
    """A trial of a plan."""
    point = Point("mkfs", "before", 9, "exec mkfs.ext4")
    return Trial(name, "reference", "steps/mkfs", Setup("fresh", (), 60.0), point, "kill", "tree", 3)
