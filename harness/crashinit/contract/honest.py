"""Clauses on what an init says of itself when it is disturbed."""

import errno
import os
import re
from pathlib import PurePosixPath

from crashinit.contract.case import Case
from crashinit.contract.said import ending, refused, signal_name, succeeded
from crashinit.contract.verdict import NotApplicableError, NotSeenError, Verdict
from crashinit.model.fault import MESSAGE, SECOND_INIT, SUCCESS, WORDS, kind_of
from crashinit.model.observation import OperationRecord, Run

# What names a call that has no object of its own, as patterns of whole words.
STARTING = r"exec\w*|run|start|spawn|launch"  # what a program says that cannot start another one
KIND_WORDS = {
    "process.clone": rf"v?fork\w*|clone|process(?:es)?|threads?|{STARTING}",
    "process.pipe": rf"pipe\d?s?|{STARTING}",
}
# Besides strerror(3): mke2fs has words of its own for it, and so has Go (os.ErrNotExist).
CAUSE_WORDS = {"ENOENT": r"do(?:es)? not exist"}
NAMING = ("path", "from", "to", "name", "backing", "source")  # what of an operation's detail names things
VARYING, MOST_PARTS = r"\S{0,24}", 4  # bounded: a search must end, whatever a driver calls its files
LONGEST = 4000  # characters of a message that are searched
CONTINUED = (":", ",", "\\")  # what a line ends with when its message goes on in the next


def honest(case: Case) -> Verdict:
    """An init that goes on after a fault succeeds with a state that passes, or fails with a message of step and cause.

    The cause is named where a call returned an error. It never hangs, unless a call of its own never returns, and dies
    of no signal but the one that it was sent; after a stop for a while it succeeds. The state after a success is judged
    by the other clauses.
    Source: errno(3) and strerror(3) for the names of a cause; systemd.kill(5) for SIGTERM, then SIGKILL.
    """
    evidence = case.evidence
    kind = kind_of(evidence.fault)
    if not kind.goes_on:
        raise NotApplicableError("no error was injected")
    if evidence.fired is None:
        raise NotSeenError("the fault never struck" if not kind.fails_a_call else "the error was never injected")
    run = evidence.fault_run
    if succeeded(run):
        return Verdict("pass")
    what = "an error" if kind.fails_a_call else f"the fault '{kind.name}'"
    if run.timed_out and kind.may_time_out and not run.hung:
        return Verdict("pass")
    died_of = signal_name(-run.exit) if run.exit is not None and run.exit < 0 and not run.timed_out else ""
    if died_of and died_of in kind.dies_of:
        return Verdict("pass")
    if run.timed_out or run.hung or run.exit is None or died_of or kind.owes == SUCCESS:
        return Verdict("fail", f"with {what} at '{evidence.fired.key}' {evidence.during} {ending(run)}")
    if kind.owes == WORDS and not (messages(run.stderr) or messages(run.stdout)):
        return Verdict("fail", f"{evidence.during} {ending(run)}, so nobody learns what failed")
    return Verdict.of(_unsaid(case, run, evidence.fired) if kind.owes == MESSAGE else [])


def _unsaid(case: Case, run: Run, struck: OperationRecord) -> list[str]:
    """What the message of a failed init leaves open, as sentences."""
    said = messages(run.stderr) + messages(run.stdout)
    if not said:
        return [f"{case.evidence.during} {ending(run)}, so nobody learns what failed"]
    ended = f"{case.evidence.during} {ending(run)}"
    operation = run.operations[struck.n - 1]
    step = case.family.steps_during(case.evidence.during, run.operations)[struck.n - 1]
    if not kind_of(case.evidence.fault).fails_a_call:
        words = "|".join([case.family.words_of(step), re.escape(operation.program), *_names(operation)])
        if any(_holds(message, words) for message in said):
            return []
        return [f"neither '{operation.object}' nor '{operation.program}' nor the step ({step}) is named: {ended}"]
    name = operation.detail.get("errno", "")
    text = os.strerror(getattr(errno, name)) if hasattr(errno, name) else name
    names = "|".join([re.escape(text), re.escape(name), *([CAUSE_WORDS[name]] if name in CAUSE_WORDS else [])])
    causes = [message for message in said if _holds(message, names)]
    if not causes:
        return [f"the cause ({name}, '{text}') is not named: init {ending(run)}"]
    words = "|".join([case.family.words_of(step), *_names(operation)])
    if any(_holds(message, words) for message in causes):
        return []
    return [f"beside the cause neither '{operation.object}' nor the step ({step}) is named: {ended}"]


def messages(text: str) -> list[str]:
    """The messages in an output: its lines, each with those that go on with it, which are indented, or follow a colon,
    a comma or a backslash at a line's end."""
    found: list[list[str]] = []
    for line in filter(str.strip, text.splitlines()):
        if found and (line[0].isspace() or found[-1][-1].endswith(CONTINUED)):
            found[-1].append(line.strip())
        else:
            found.append([line.strip()])
    return [_ends(" ".join(lines)) for lines in found]


def _ends(message: str) -> str:
    """A message without its middle where it is so long that nobody would read it, and a search in it take minutes."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST // 2]} {message[-LONGEST // 2 :]}"


def _names(operation: OperationRecord) -> list[str]:
    """Patterns of what an operation's object may be called: its name in the trace, paths, the last parts of paths."""
    object_name = operation.object.split(" ")[0] if operation.kind == "dm.message" else operation.object
    names = {object_name, *(operation.detail[key] for key in NAMING if key in operation.detail)}
    names |= {PurePosixPath(name).name for name in names}
    words = [_pattern(name) for name in sorted(names) if re.search(r"[^\W\d_]{2}", name)]
    return [*words, *([KIND_WORDS[operation.kind]] if operation.kind in KIND_WORDS else [])]


def _pattern(name: str) -> str:
    """A name as a pattern: in the trace `*` stands for what differs from run to run. A file may be called '***' too."""
    parts = re.split(r"\*+", name)
    return VARYING.join(map(re.escape, parts)) if len(parts) <= MOST_PARTS else re.escape(name)


def _holds(message: str, words: str) -> bool:
    """Whether the message holds one of these as a whole word; 'CreatePool' is two words."""
    return any(
        re.search(rf"(?<![^\W_])(?:{words})(?![^\W_])", text, re.IGNORECASE)
        for text in (message, re.sub(r"(?<=[a-z])(?=[A-Z])", " ", message))
    )


def exclusive(case: Case) -> Verdict:
    """Of two inits at once on one root both end, at least one with success, and the state passes.

    The other one may wait or refuse, with a message. What another owner has made is left alone.
    Source: flock(2), which a driver has for this.
    """
    evidence = case.evidence
    if evidence.actor and evidence.actor.lost:
        return Verdict.of(evidence.actor.lost)
    if not kind_of(evidence.fault).is_a_race and not (evidence.actor and evidence.actor.name == SECOND_INIT):
        raise NotApplicableError("no two inits ran at once")
    runs = [*evidence.earlier, evidence.fault_run]
    if len(runs) < 2:
        raise NotSeenError("the second init was not recorded")
    findings = [f"one of two inits at once {ending(run)}" for run in runs if not succeeded(run) and not refused(run)]
    if not any(succeeded(run) for run in runs):
        findings.append(f"neither of two inits at once succeeded: one {ending(runs[0])}")
    return Verdict.of(findings)
