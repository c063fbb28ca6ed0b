"""The shell at a trial's point as a person has it: `crashinit replay --shell`, typed at a shell of this host."""

import os
import re
import signal
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest
from crashinit.scenario.plan import write

from ..toys import environment
from .test_shell import TRIAL

HOST = "the-host> "
PROMPT = r"crashinit:(\S*)# "

pytestmark = pytest.mark.xdist_group("shell")


class Person:
    """A terminal with a shell of this host, in which the command was typed."""

    def __init__(self, plan: Path, provider: str) -> None:
        self._plan, self._provider = plan, provider
        self.screen = pexpect.spawn(
            "bash", ["--norc", "--noprofile", "--noediting"], env=environment(PS1=HOST, TERM="xterm"), timeout=300,
            encoding="utf-8", codec_errors="replace", dimensions=(24, 90),
        )  # fmt: skip
        self.screen.expect_exact(HOST)
        self.modes = self._modes()

    def begins(self) -> None:
        argv = f"{sys.executable} -m crashinit.cli replay {self._plan} --shell --provider {self._provider}"
        self.screen.sendline(argv)
        self.screen.expect(PROMPT)

    def runs(self, line: str) -> str:
        """What a line shows in the machine."""
        self.screen.sendline(line)
        self.screen.expect(PROMPT)
        shown = plain(self.screen.before)
        return shown.partition("\n")[2]

    def types(self, keys: str, until: str) -> str:
        """What keys show, up to that."""
        self.screen.send(keys)
        self.screen.expect(until)
        return plain(self.screen.before)

    def in_step(self) -> None:
        """The last prompt that is shown is the last one that is expected: what runs may have been shown again."""
        self.screen.sendline("echo in''step")
        self.screen.expect(r"\rinstep\r\n")
        self.screen.expect(PROMPT)

    def child(self) -> int:
        """The process id of the command."""
        shell = self.screen.pid
        return int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])

    def is_home_again(self) -> None:
        """The host's shell reads, and the terminal is as it was."""
        self.screen.expect_exact(HOST)
        assert self._modes() == self.modes

    def at_home(self, line: str) -> str:
        """What a line shows on this host."""
        self.screen.sendline(line)
        self.screen.expect_exact(HOST)
        return plain(self.screen.before).partition("\n")[2]

    def _modes(self) -> list[object]:
        return termios.tcgetattr(self.screen.child_fd)


def plain(shown: str | None) -> str:
    """The text without what moves and colours."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\r", "", shown or "")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    write(path, [TRIAL])
    return path


@pytest.fixture(scope="module", params=["qemu-real", "qemu-virtual"])
def person(request: pytest.FixtureRequest, plan: Path) -> Iterator[Person]:
    """In a machine of either time."""
    person = Person(plan, request.param)
    person.begins()
    yield person
    person.screen.sendline("exit")
    person.is_home_again()
    person.screen.close()


def test_jobs_are_controlled(person: Person) -> None:
    """Ctrl-Z stops what runs, `jobs` shows it, `fg` goes on with it, and Ctrl-C ends it and nothing else."""
    person.types("sleep 1000\r", "sleep 1000")
    person.types("\x1a", "Stopped")
    person.types("", PROMPT)
    assert re.search(r"\[1\]\+ +Stopped +sleep 1000", person.runs("jobs"))
    person.types("fg\r", "sleep 1000")
    person.types("\x03", PROMPT)

    assert person.runs("echo $?; jobs") == "130\n"


def test_less_shows_a_file(person: Person) -> None:
    """A pager has the whole screen, goes to the end by its keys, and gives the screen back."""
    assert person.runs("seq 500 >/tmp/numbers") == ""
    first = person.types("less /tmp/numbers\r", "/tmp/numbers\x1b")
    assert first.endswith("\n21\n22\n23\n")
    assert person.types("G", "END").endswith("\n499\n500\n(")

    assert "\n" not in person.types("q", PROMPT)


def test_vi_saves_a_file(person: Person) -> None:
    """An editor takes its keys one by one."""
    person.types("vi /tmp/edited\r", "New")
    person.types("iwritten by hand\x1b", "hand")
    person.types(":wq\r", PROMPT)

    assert person.runs("cat /tmp/edited") == "written by hand\n"


def test_the_size_of_the_terminal_follows(person: Person) -> None:
    """The machine's programs see the size that the window has now."""
    assert person.runs("stty size") == "24 90\n"
    for rows, columns in ((31, 77), (24, 90)):
        person.screen.setwinsize(rows, columns)
        person.in_step()
        assert person.runs("stty size") == f"{rows} {columns}\n"


def test_words_are_commands_of_the_shell(person: Person) -> None:
    """Tab completes them, a pipe takes what they say, history has them, and an error is told by the exit status."""
    assert "the operations of an init" in person.types(":hel\t| grep trace\r", PROMPT)
    assert "the operations of an init" in person.types("\x1b[A\r", PROMPT)
    assert person.runs(":probe | grep -c mapper_nodes") == "1\n"
    assert person.runs(":init; echo $?").endswith("init is still held: ':fault' first.\n1\n")
    assert person.runs(":hop; nop; echo $?") == (
        "error: there is no ':hop': ':help' tells what there is.\nbash: nop: command not found\n127\n"
    )
    assert person.runs("cd /usr; ls -d li\t/os-release") == "lib/os-release\n"
    assert person.runs("cd /") == ""


def test_a_moment_with_a_name_is_whole_again(person: Person) -> None:
    """':back NAME' is before what broke the machine, as often as one likes, and with the shell that was there."""
    person.runs("X=kept; touch /whole; sleep 1000 &")
    assert "comes back to this moment" in person.runs(":fork a")
    for _ in range(2):
        person.runs("X=lost; rm /whole; kill %1; :fault")
        assert "No such file" in person.runs("ls /whole; :init | tail -n 1")
        assert person.runs(":back a") == "init is held before operation 21, 'dm.create pool#1'.\n"
        assert person.runs('ls /whole; echo "$X"; jobs -r | wc -l') == "/whole\nkept\n1\n"
    assert ":back a" in person.types("\x1b[A\x1b[A", ":back a") + ":back a"
    person.types("\x03", PROMPT)
    person.runs("kill %1; rm /whole")


def test_files_of_the_host_need_a_yes(person: Person, tmp_path: Path) -> None:
    """A word comes from the machine, where anybody may have said it: only a person lets it read or write here."""
    (tmp_path / "mine").write_text("of the host\n")
    asked = person.types(f":put {tmp_path}/mine /got\r", r"\[y/N\] ")
    assert f"give the machine '{tmp_path}/mine' of this host, as '/got'?" in asked.replace("\n", "")
    assert "nothing was copied" in person.types("\r", PROMPT)
    person.types(f":put {tmp_path}/mine got\r", r"\[y/N\] ")
    person.types("y\r", PROMPT)
    person.types(f":get got {tmp_path}/back\r", r"\[y/N\] ")
    person.types("y\r", PROMPT)

    assert (tmp_path / "back").read_text() == "of the host\n"


def test_the_terminal_itself_is_not_spoken_to(person: Person) -> None:
    """A title and a question, whose answer would be typed into some shell, do not come out of the machine."""
    person.screen.sendline(r"printf 'a\033]0;owned\007b\033[6n\033[1mc\n'")
    person.screen.expect_exact("ab\x1b[1mc")
    person.types("", PROMPT)
    person.runs(r"printf '\033[0m'")


def test_a_key_leaves_whatever_runs(person: Person) -> None:
    """Ctrl-] asks for a word, and gives the terminal back to what runs."""
    person.types("cat\r", "cat")
    person.types("\x1d", "crashinit> ")
    person.types(":help\r", "Ctrl-C +end what runs")
    person.types("still there\r", "still there\r\n.*still there\r\n")
    person.types("\x04", PROMPT)
    person.types("\x1d", "crashinit> ")
    person.types("\r", PROMPT)
    person.in_step()


def test_time_goes_no_faster_than_ours(person: Person) -> None:
    """Also where an idle machine's clock jumps: two seconds there are two seconds here, and no second there is none."""
    person.runs("true")
    began = time.monotonic()
    person.runs("sleep 2")
    assert time.monotonic() - began > 1.7

    began = time.monotonic()
    before = float(person.runs("cut -d' ' -f1 /proc/uptime"))
    time.sleep(3)  # a person does nothing
    after = float(person.runs("cut -d' ' -f1 /proc/uptime"))
    assert after - before < time.monotonic() - began + 0.5


def test_a_shell_that_is_killed_has_a_successor(person: Person) -> None:
    """Who loses the shell keeps the machine."""
    assert "was killed: this is another one" in person.runs("touch /run/kept; kill -9 $$")
    assert person.runs("ls /run/kept; rm /run/kept") == "/run/kept\n"


def test_nothing_typed_reaches_the_host(plan: Path, tmp_path: Path) -> None:
    """What is typed ahead of the end is thrown away; the host's shell gets its terminal as it was."""
    person = Person(plan, "qemu-real")
    person.begins()
    person.screen.send(f"sleep 1; exit\rtouch {tmp_path}/typed-here\r")
    person.is_home_again()

    assert person.at_home("echo $?") == "0\n"
    assert not (tmp_path / "typed-here").exists()
    person.screen.close()


def test_a_machine_that_is_lost_is_left_or_gone_back_from(plan: Path, tmp_path: Path) -> None:
    """Its end is told, a moment with a name is whole, and so is the host's terminal in the end."""
    person = Person(plan, "qemu-real")
    person.begins()
    person.runs(":fork a")
    person.types("echo c >/proc/sysrq-trigger\r", "crashinit> ")
    person.types("echo lost\r", "there is no ':echo'.*crashinit> ")
    assert "init is held" in person.types(":back a\r", PROMPT)
    assert person.runs("echo here") == "here\n"
    person.types("echo c >/proc/sysrq-trigger\r", "its kernel panicked.*crashinit> ")
    person.screen.send(f":quit\rtouch {tmp_path}/typed-here\r")
    person.is_home_again()

    assert person.at_home("echo $?") == "0\n"  # whatever had been typed before, the host's shell would have run by now
    assert not (tmp_path / "typed-here").exists()
    person.screen.close()


def test_a_reboot_leaves_a_shell(plan: Path) -> None:
    """A fault that boots the machine anew takes the shell along: what it says is shown, and there is another one."""
    write(plan.with_name("reboot.json"), [replace(TRIAL, recovery="reboot")])
    person = Person(plan.with_name("reboot.json"), "qemu-real")
    person.begins()
    assert "(operations: 21;" in person.types(":fault\r", "booted anew, and its shell is gone: this is another one")
    person.types("", PROMPT)

    assert "ended with exit status 0" in person.runs(":init | tail -n 1")
    person.screen.sendline("exit")
    person.is_home_again()
    person.screen.close()


def test_sigterm_gives_the_terminal_back(plan: Path) -> None:
    """Also in the midst of a program that has the whole screen: its modes are over, and the command says so."""
    person = Person(plan, "qemu-real")
    person.begins()
    person.types("vi\r", "VIM|~")
    os.kill(person.child(), signal.SIGTERM)
    person.screen.expect_exact("\x1b[?1049l")
    person.screen.expect_exact("crashinit: interrupted")
    person.is_home_again()

    assert person.at_home("echo $?") == "2\n"
    person.screen.close()
