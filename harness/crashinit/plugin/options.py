"""The plugin's options: on the command line, in the environment, in the ini file."""

import os
import re

import pytest

from crashinit.errors import CrashinitError
from crashinit.model.events import CONFIRM
from crashinit.text.printable import one_line

OPTIONS = {
    "driver": "the driver under test: an adapter's name, or the path of an adapter file",
    "provider": "where machines come from: qemu (default), qemu-real, qemu-virtual, qemu-cold or vagrant",
    "guest": "what machines run: a guest's name (default: debian12), or the path of a guest file",
    "seed": "in virtual time: what the machines' clocks, random numbers and delays follow from (default: 0)",
    "out": "the directory of the run's results (default: a new one below reports)",
    "force": "'yes': replace the results that the directory holds",
    "confirm": f"how many more times a trial that diverged is tried (default: {CONFIRM})",
    "repeat": "how many more times every trial is tried, also one that converged (default: 0)",
    "seeds": "under how many seeds every trial is tried, from crashinit-seed on (default: 1)",
    "no-merge": "'yes': run each trial in full, also where its fault leaves the state of another trial",
}
DEFAULTS = {
    "driver": "",
    "provider": "qemu",
    "guest": "",
    "seed": "",
    "out": "",
    "force": "",
    "confirm": str(CONFIRM),
    "repeat": "0",
    "seeds": "1",
    "no-merge": "",
}
FLAGS = ("force", "no-merge")


def variable(name: str) -> str:
    return f"CRASHINIT_{name.upper().replace('-', '_')}"


def option(config: pytest.Config, name: str) -> str:
    """An option's value: command line, then environment, then ini file, then default."""
    given = config.getoption(f"--crashinit-{name}") or os.environ.get(variable(name))
    return str(given or config.getini(variable(name).lower()) or DEFAULTS[name])


def flag(config: pytest.Config, name: str) -> bool:
    """An option that is 'yes' or not."""
    return option(config, name) not in ("", "no", "0", "false")


def number(config: pytest.Config, name: str) -> int:
    """An option that is a number; raises UsageError."""
    text = option(config, name)
    if not re.fullmatch("[0-9]{1,6}", text):
        raise pytest.UsageError(f"crashinit: '--crashinit-{name}' is '{one_line(text)}', and must be a number.")
    return int(text)


def provider(config: pytest.Config) -> str:
    """The provider's name, with its machines' seed and guest; raises UsageError."""
    from crashinit.machine.guests import DEFAULT, load
    from crashinit.machine.seed import seeded, with_guest

    try:
        guest = load(option(config, "guest") or DEFAULT).source
        return with_guest(seeded(option(config, "provider"), option(config, "seed"), number(config, "seeds")), guest)
    except CrashinitError as error:
        raise pytest.UsageError(f"crashinit: {error}") from error
