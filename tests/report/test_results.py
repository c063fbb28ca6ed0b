"""results.jsonl, run.json and summary.json."""

import io
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from crashinit.contract import VERSION
from crashinit.errors import UsageError
from crashinit.model.events import Event, RunFinished, RunStarted, TrialFinished
from crashinit.report import Reports, plain, read, remake
from crashinit.report.counts import summary
from crashinit.report.results import ResultsLog, finished_ids
from crashinit.report.words import duration
from rich.console import Console

from ..toys import environment
from .events import failing, mixed, report, results, sequence, stored, unjudged


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def test_one_object_a_trial_with_every_key(tmp_path: Path) -> None:
    """results.jsonl holds each result with all its keys, in the order in which the trials ended."""
    trials = mixed()

    report(tmp_path, trials)

    assert [asdict(trial) for trial in stored(trials, tmp_path)] == lines(tmp_path)


def test_a_result_is_on_the_disk_before_the_next_event(tmp_path: Path) -> None:
    """Each trial's line is complete as soon as the trial is reported, while the run goes on."""
    trials = results()
    emit = Reports(tmp_path)

    events: list[Event] = [RunStarted("d", "qemu", "tcg", []), *map(TrialFinished, trials)]

    for done, event in enumerate(events):
        emit(event)
        assert done == len(lines(tmp_path))


def test_sigkill_loses_nothing_that_was_reported(tmp_path: Path) -> None:
    """A process that reports two trials and kills itself with SIGKILL leaves both results and a readable run."""
    program = (
        "import os, signal, sys; from pathlib import Path; from crashinit.report import Reports\n"
        "from tests.report.events import results, sequence\n"
        "emit = Reports(Path(sys.argv[1]))\n"
        "for event in sequence(results())[:5]: emit(event)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=Path(__file__).parents[2], env=environment())

    run = remake(tmp_path)

    assert ended.returncode == -signal.SIGKILL
    assert stored(results()[:2], tmp_path) == run.results
    assert len(run.not_run) == 28
    assert run.seconds is None
    assert "The run did not end: 28 of 30" in (tmp_path / "report.html").read_text()


def test_a_run_says_on_which_guest(tmp_path: Path) -> None:
    """run.json and summary.json name guest and kernel, each result the guest; another guest is another run."""
    began = RunStarted("reference", "qemu", "tcg", ["a"], guest="debian13", kernel="6.12")
    with Reports(tmp_path) as emit:
        emit(began)
        emit(TrialFinished(replace(results()[0], id="a", guest="debian13")))
        emit(RunFinished(1.0, interrupted=False))

    for name in ("run.json", "summary.json"):
        facts = json.loads((tmp_path / name).read_text())
        assert (facts["provider"], facts["guest"], facts["kernel"]) == ("qemu", "debian13", "6.12")
    assert [result.guest for result in read(tmp_path).results] == ["debian13"]
    assert "debian13, kernel 6.12" in (tmp_path / "report.html").read_text()
    with pytest.raises(UsageError, match="holds a run with guest 'debian13', not 'sid'"):
        ResultsLog(tmp_path, resume=True)(replace(began, guest="sid"))


def test_summary_has_the_fixed_keys_and_counts(tmp_path: Path) -> None:
    """summary.json counts trials by outcome and clauses by status under the names that scripts rely on."""
    report(tmp_path, mixed())

    summary = json.loads((tmp_path / "summary.json").read_text())

    fixed = {
        "driver": "reference",
        "provider": "qemu",
        "accel": "tcg",
        "trials": 30,
        "converged": 27,
        "diverged": 1,
        "not_fired": 1,
        "error": 1,
        "seconds": 83.2,
        "clauses": {
            "C01": {"pass": 28, "fail": 0, "na": 0},
            "C03": {"pass": 27, "fail": 1, "na": 0},
            "C12": {"pass": 0, "fail": 0, "na": 27},
        },
    }
    assert fixed == {key: summary[key] for key in fixed}


def test_the_version_of_the_contract_is_told(tmp_path: Path) -> None:
    """run.json and summary.json say by which contract a run was judged; a run that says nothing, by the first."""
    report(tmp_path, results())
    facts, summary = (json.loads((tmp_path / name).read_text()) for name in ("run.json", "summary.json"))
    assert (facts["contract"], summary["contract"]) == (VERSION, VERSION)

    del facts["contract"]
    (tmp_path / "run.json").write_text(json.dumps(facts))
    assert read(tmp_path).contract == 1


def test_a_trial_without_a_verdict_counts_for_no_clause(tmp_path: Path) -> None:
    """What did not fire or could not be judged is counted by its outcome alone."""
    report(tmp_path, [*unjudged(), results()[2]])

    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["trials"], summary["converged"], summary["not_fired"], summary["error"]) == (3, 1, 1, 1)
    assert summary["clauses"]["C01"] == {"pass": 1, "fail": 0, "na": 0}
    assert "C02" not in summary["clauses"]


def test_remake_gives_the_same_files(tmp_path: Path) -> None:
    """The reports made again from results.jsonl and run.json equal those that the run itself wrote."""
    report(tmp_path, mixed(), mask=["loop numbers differ"], clause_names={"C03": "backing"})
    names = ("summary.json", "junit.xml", "report.html")
    first = [(tmp_path / name).read_bytes() for name in names]
    for name in names:
        (tmp_path / name).unlink()

    remake(tmp_path)

    assert first == [(tmp_path / name).read_bytes() for name in names]


def test_results_alone_are_enough(tmp_path: Path) -> None:
    """A directory that holds only results.jsonl can be reported, with what it tells of the run."""
    report(tmp_path, mixed())
    (tmp_path / "run.json").unlink()

    run = remake(tmp_path)

    assert (run.driver, len(run.results), run.not_run) == ("reference", 30, [])


def test_a_run_that_is_left_early_is_reported_as_interrupted(tmp_path: Path) -> None:
    """When an exception leaves the reports without the run's end, what was done is reported as interrupted."""
    with pytest.raises(KeyboardInterrupt), Reports(tmp_path) as emit:
        for event in sequence(mixed())[:5]:
            emit(event)
        raise KeyboardInterrupt

    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["interrupted"], summary["trials"], summary["planned"]) == (True, 2, 30)


def test_a_run_that_never_started_leaves_no_directory(tmp_path: Path) -> None:
    """An error before the first trial writes nothing."""
    with Reports(tmp_path / "run") as emit:
        emit(RunFinished(0.1, True))

    assert not (tmp_path / "run").exists()


def test_a_torn_last_line_is_passed_over_and_cut_off_on_resume(tmp_path: Path) -> None:
    """Half a line at the end is no result; a resumed run writes its first result on a line of its own."""
    trials = results()
    report(tmp_path, trials[:2])
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write('{"id": "steps/loop')
    assert stored(trials[:2], tmp_path) == read(tmp_path).results

    report(tmp_path, trials[2:], resume=True)

    assert stored(trials, tmp_path) == read(tmp_path).results


def test_resume_adds_up(tmp_path: Path) -> None:
    """A resumed run keeps what was planned and done, replaces a trial done again, and adds the seconds."""
    trials = mixed()
    with Reports(tmp_path) as emit:
        for event in [*sequence(trials)[:21], RunFinished(10.0, True)]:
            emit(event)
    done = finished_ids(tmp_path)
    assert trials[9].id not in done, "a harness error is tried again"

    again = [replace(trial, outcome="converged", reason="") for trial in trials if trial.id not in done]
    report(tmp_path, again, resume=True)

    run = read(tmp_path)
    assert [trial.id for trial in trials] == run.planned
    assert (len(run.results), run.not_run, run.seconds, run.interrupted) == (30, [], 93.2, False)
    assert next(result.outcome for result in run.results if result.id == trials[9].id) == "converged"


def test_resume_refuses_another_driver(tmp_path: Path) -> None:
    """Results of two drivers never end up in one run."""
    report(tmp_path, results())

    with pytest.raises(UsageError, match="driver 'reference', not 'dockerd'"):
        Reports(tmp_path, resume=True)(RunStarted("dockerd", "qemu", "tcg", []))
    assert stored(results(), tmp_path) == read(tmp_path).results


def test_no_run_is_a_usage_error(tmp_path: Path) -> None:
    """A directory without results is named in the message."""
    with pytest.raises(UsageError, match=r"holds no 'results\.jsonl'"):
        read(tmp_path)


@pytest.mark.parametrize("line", ["{", "[]", "{}", '"text"', "[" * 100_000, '{"id": NaN}', "\xff", "null"])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    """A complete line that is no result is an error with file and line, not a missing trial."""
    report(tmp_path, results()[:1])
    with (tmp_path / "results.jsonl").open("a", encoding="latin-1") as file:
        file.write(line + "\n")

    with pytest.raises(UsageError, match=r"results\.jsonl:2: not a trial's result"):
        read(tmp_path)


@pytest.mark.parametrize("key", ["clauses", "seconds", "boundary", "restarts", "id", "reason"])
def test_a_result_of_wrong_types_is_named(tmp_path: Path, key: str) -> None:
    """What a report would stumble over is found as it is read."""
    line = json.dumps({**asdict(results()[0]), key: ["no such type"]})
    (tmp_path / "results.jsonl").write_text(f"{line}\n")

    with pytest.raises(UsageError, match=rf"results\.jsonl:1: not a trial's result: '{key}"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"started": "yesterday"}', "'started' is 'yesterday', but must be a time as ISO 8601 has it"),
        ('{"planned": 7}', "'planned' is 7, but must be a list in brackets"),
        ('{"planned": [1]}', "an item of 'planned' is 1, but must be a text in quotes"),
        ('{"seconds": "long"}', "'seconds' is 'long', but must be a number"),
        ('{"seconds": NaN}', "'NaN' is no number of JSON"),
        ('{"seconds": ' + "9" * 5000 + "}", "a number in it has 5,000 digits"),
        ('{"clause_names": []}', r"'clause_names' is \[\], but must be keys with a value each"),
        ('{"interrupted": "no"}', "'interrupted' is 'no', but must be 'true' or 'false'"),
        ("[]", r"the whole is \[\], but must be keys with a value each"),
        ("[" * 100_000, "it is nested too deeply"),
        ("{", "it is no JSON from line 1, column 2 on"),
        ("\xff", "it is no text in UTF-8"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, text: str, said: str) -> None:
    """run.json of wrong types, or no JSON at all: one sentence that says how to go on without it."""
    report(tmp_path, results())
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))

    with pytest.raises(UsageError, match=rf"run\.json' is damaged: {said}: remove it, and 'results\.jsonl' alone is"):
        read(tmp_path)


def test_a_result_is_whole_or_not_there(tmp_path: Path) -> None:
    """A disk that is full in the middle of a line: a HostError, and the line's beginning is taken back."""
    with Reports(tmp_path) as emit:
        for event in sequence(results())[:3]:
            emit(event)
        before = (tmp_path / "results.jsonl").read_bytes()
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limit[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                emit(TrialFinished(results()[5]))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            signal.signal(signal.SIGXFSZ, handler)
        assert (tmp_path / "results.jsonl").read_bytes() == before
        emit(TrialFinished(results()[6]))

    assert [result.id for result in read(tmp_path).results] == [results()[0].id, results()[6].id]


def test_which_time_it_was_is_said(tmp_path: Path) -> None:
    """A run and each of its results name what the clocks followed; a run of an earlier version names nothing."""
    emit = Reports(tmp_path)
    emit(RunStarted("d", "qemu:7", "tcg", [], time="mixed"))
    emit(TrialFinished(replace(results()[0], time="virtual")))
    emit(TrialFinished(replace(results()[1], time="real")))
    emit(RunFinished(1.0, interrupted=False))
    run = read(tmp_path)

    assert (run.time, summary(run)["time"], [result.time for result in run.results]) == (
        "mixed", "mixed", ["virtual", "real"],
    )  # fmt: skip
    facts = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({key: facts[key] for key in facts if key != "time"}))
    assert read(tmp_path).time == ""


def test_an_unknown_outcome_is_refused(tmp_path: Path) -> None:
    """A result whose outcome no version knows is never counted as anything."""
    emit = Reports(tmp_path)
    emit(RunStarted("d", "qemu", "tcg", []))
    emit(TrialFinished(replace(results()[0], outcome="fine")))  # type: ignore[arg-type]

    with pytest.raises(UsageError, match="the outcome is 'fine'"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (52.4, "52 s"), (59.7, "1 min 00 s"), (187, "3 min 07 s"), (7500, "2 h 05 min")],
)
def test_durations_are_for_people(seconds: float, said: str) -> None:
    """Seconds turn into the largest fitting units."""
    assert said == duration(seconds)


def test_names_that_are_not_utf_8_end_no_report(tmp_path: Path) -> None:
    """A driver may make a file of any name: every report is written, on a terminal of few characters as well."""
    odd = os.fsdecode(b"/root/.tmp\xe9")
    left = failing(results()[0], "diverged", f"C04: '{odd}' is left", {"C04": "fail"})
    trial = replace(left, id=f"s/{odd}", operation=odd)
    # As the command makes its own.
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    report(tmp_path, [trial], console=Console(file=screen))
    plain.write(tmp_path)

    assert read(tmp_path).results == stored([trial], tmp_path)
    screen.flush()
    assert b"\\udce9" in screen.buffer.getvalue()
    for name in ("summary.json", "junit.xml", "report.html", "README.md"):
        (tmp_path / name).read_bytes().decode("utf-8")


@pytest.mark.parametrize(
    ("first", "second", "either"),
    [("", "", ""), ("a", "a", "a"), ("a", "b or c", "(a) or (b or c)"), ("a", "", ""), ("", "b", "")],
)
def test_a_run_keeps_what_chose_its_trials(tmp_path: Path, first: str, second: str, either: str) -> None:
    """The expression of '-k'; of a run that was gone on with, what either of the two chooses."""
    for select, resume in ((first, False), (second, True)):
        with Reports(tmp_path, resume=resume) as emit:
            emit(RunStarted("d", "qemu", "tcg", [], select=select))
            emit(RunFinished(1.0, False))
        assert read(tmp_path).select == (either if resume else first)
