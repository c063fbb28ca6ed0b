"""The plugin's options: on the command line, in the environment, in the ini file. Named as the command's."""

import os
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from crashinit.errors import CrashinitError, UsageError
from crashinit.model.events import CONFIRM
from crashinit.text.printable import one_line

if TYPE_CHECKING:
    from crashinit.scenario.scenario import Scenario


@dataclass(frozen=True)
class Option:
    """One option; its name is that of the commands `crashinit run` and `crashinit explore`."""

    help: str
    default: str = ""
    kind: Literal["text", "flag", "words"] = "text"  # words: several, one by one or apart by blanks
    explores: bool = False  # it narrows an exploration


OPTIONS = {
    "driver": Option("the driver under test: an adapter's name, or the path of an adapter file"),
    "set": Option("KEY=VALUE: what the adapter says otherwise, such as a file of your own", kind="words"),
    "provider": Option("where machines come from: qemu (default), qemu-real, qemu-virtual, qemu-cold, vagrant", "qemu"),
    "guest": Option("what machines run: a guest's name (default: debian12), or the path of a guest file"),
    "seed": Option("in virtual time: what machines' clocks, random numbers and delays follow from (default: 0)"),
    "seeds": Option("under how many seeds every trial is tried, from crashinit-seed on (default: 1)", "1"),
    "out": Option("the directory of the run's results (default: a new one below reports)"),
    "force": Option("'yes': replace the results that the directory holds", kind="flag"),
    "resume": Option("'yes': go on with the run in that directory", kind="flag"),
    "plan": Option("'yes': a listing records the inits that it needs, where their plan is not known", kind="flag"),
    "confirm": Option(f"how many more times a trial that diverged is tried (default: {CONFIRM})", str(CONFIRM)),
    "repeat": Option("how many more times every trial is tried, also one that converged (default: 0)", "0"),
    "no-merge": Option(
        "'yes': run each trial in full, also where its fault leaves the state of another trial", kind="flag"
    ),
    "baseline": Option("the failures that are known (TOML): they are expected, and all else fails"),
    "max-time": Option("begin no more trials after this time (90s, 5m, 1h); those likely to tell most come first"),
    "shard": Option("K/N: only the share K of N of the trials; 'crashinit merge' joins them"),
    "fault": Option("explore: this is done at every boundary of the driver's init, instead of what scenario files say"),
    "step": Option("only boundaries in this step", kind="words", explores=True),
    "given": Option("the root before: fresh (default), populated, ...", kind="words", explores=True),
    "victim": Option("process or tree", kind="words", explores=True),
    "errno": Option("E,...: with the fault errno, only these", explores=True),
    "recovery": Option("init (default), or reboot and then init", explores=True),
    "representative": Option("'yes': of the same operations in a row first, middle and last", "", "flag", True),
    "storage-opt": Option("K=V: beyond the adapter's own storage options", kind="words", explores=True),
    "deadline": Option("seconds that one init may take", explores=True),
    "seconds": Option("of supervisor, from SIGTERM to SIGKILL; of stop, how long", explores=True),
    "actor": Option("who else comes at the boundary", explores=True),
    "release": Option("when that one lets go: before, during or after the re-init, or never", explores=True),
    "udev": Option("udevd from the boundary on: settled, late, lost or stopped", explores=True),
    "during": Option("what is struck: init (default), shutdown, create, remove or use", explores=True),
}


def variable(name: str) -> str:
    return f"CRASHINIT_{name.upper().replace('-', '_')}"


def declare(parser: pytest.Parser) -> None:
    """Make all options known to pytest."""
    group = parser.getgroup("crashinit", "crash tests of a storage driver's initialisation")
    how: dict[str, dict[str, Any]] = {"flag": {"action": "store_const", "const": "yes"}, "words": {"action": "append"}}
    for name, one in OPTIONS.items():
        kind = how.get(one.kind, {}) | ({} if one.kind == "flag" else {"metavar": name.upper()})
        group.addoption(f"--crashinit-{name}", default=None, help=f"{one.help} (or ${variable(name)})", **kind)
        parser.addini(variable(name).lower(), one.help, default="")


def option(config: pytest.Config, name: str) -> str:
    """An option's value: command line, then environment, then ini file, then default."""
    given = config.getoption(f"--crashinit-{name}") or os.environ.get(variable(name))
    return str(given or config.getini(variable(name).lower()) or OPTIONS[name].default)


def words(config: pytest.Config, name: str) -> list[str]:
    """An option that may be given several times; elsewhere its values are apart by blanks, as in a shell.

    Raises UsageError.
    """
    given = config.getoption(f"--crashinit-{name}")
    try:
        return list(given) if given else shlex.split(option(config, name))
    except ValueError as error:
        raise pytest.UsageError(f"crashinit: '{variable(name)}' is not well quoted: {error}.") from error


def flag(config: pytest.Config, name: str) -> bool:
    """An option that is 'yes' or not."""
    return option(config, name) not in ("", "no", "0", "false")


def number(config: pytest.Config, name: str, least: int = 0) -> int:
    """An option that is a number; raises UsageError."""
    text = option(config, name)
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < least:
        said = f"a number of at least {least}" if least else "a number"
        raise pytest.UsageError(f"crashinit: '--crashinit-{name}' is '{one_line(text)}', and must be {said}.")
    return int(text)


def exploration(config: pytest.Config, driver: str) -> "list[Scenario]":
    """The scenarios of '--crashinit-fault'; none without it. Raises CrashinitError."""
    from crashinit.campaign.exploration import exploration

    fault = option(config, "fault")
    if not fault:
        asked = next((name for name, one in OPTIONS.items() if one.explores and option(config, name)), "")
        if asked:
            raise UsageError(f"'--{asked}' is of an exploration: give '--fault' as well.")
        return []
    texts = {name: option(config, name) for name in ("recovery", "actor", "release", "udev", "during")}
    lists = {"steps": "step", "victims": "victim", "options": "storage-opt"}
    numbers = {name: _seconds(config, name) for name in ("deadline", "seconds")}
    asked_for = {**texts, **numbers, **{key: words(config, name) for key, name in lists.items()}}
    asked_for["representative"] = flag(config, "representative")
    return exploration(driver, fault, words(config, "given"), option(config, "errno"), asked_for)


def _seconds(config: pytest.Config, name: str) -> float | None:
    text = option(config, name)
    if text and not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text):
        raise UsageError(f"'--{name}' is '{one_line(text)}', and must be a number of seconds.")
    return float(text) if text else None


def provider(config: pytest.Config) -> str:
    """The provider's name, with its machines' seed and guest; raises CrashinitError, or UsageError."""
    from crashinit.machine.guests import DEFAULT, load
    from crashinit.machine.seed import seeded, with_guest

    guest = load(option(config, "guest") or DEFAULT).source
    seeds = number(config, "seeds", least=1)
    return with_guest(seeded(option(config, "provider"), option(config, "seed"), seeds), guest)


_NAMED = re.compile(rf"(?<=')--(?=(?:{'|'.join(OPTIONS)})\b(?!-))")


def refused(error: CrashinitError) -> pytest.UsageError:
    """The command's own sentence, with the options as they are named here."""
    return pytest.UsageError(f"crashinit: {_NAMED.sub('--crashinit-', str(error))}")
