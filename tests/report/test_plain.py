"""A run in plain words."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit.model.events import RunFinished, RunStarted, TrialFinished
from crashinit.model.trial import Point, Setup, Trial
from crashinit.report import Reports, plain
from crashinit.report.kinds import REASON
from crashinit.scenario.plan import write
from markdown_it import MarkdownIt

from .events import UNFIRED, UNSEEN, failing, mixed, report, results, sequence, unjudged


def text(directory: Path) -> str:
    return plain.write(directory).read_text()


def test_a_clean_run_says_that_nothing_failed(tmp_path: Path) -> None:
    """What was run, what holds, and that nothing does not."""
    report(tmp_path / "run", results())
    said = text(tmp_path / "run")

    assert "In 30 of them the init that followed put everything in order." in said
    assert "- C01" in said
    assert "in all 30 trials that it applies to" in said
    assert "Nothing: every clause that applies held" in said
    assert "None: after every fault the first init that followed succeeded." in said
    assert "C12" not in said  # it applied nowhere


def test_every_kind_of_failure_has_a_reason_and_a_command(tmp_path: Path) -> None:
    """Failures are grouped by the clauses that failed, each with commands that show it."""
    report(tmp_path / "run", mixed())
    said = text(tmp_path / "run")

    assert "### C03: 1 trial" in said
    assert "> C03: \\<data> is attached twice & leaks" in said
    assert f"```sh\ncrashinit replay {mixed()[0].id} --run {tmp_path / 'run'}" in said
    assert "init was disturbed in 28 trials. In 27 of them" in said
    assert f"- `{mixed()[7].id}`" in said.partition("## Did not fire\n")[2]
    assert "| steps/pool-create | 6 | 4 | 0 | 1 | 1 |" in said


def test_a_wedge_tells_how_many_restarts_it_takes(tmp_path: Path) -> None:
    """A driver that comes up at the third start, and one that never does."""
    late = replace(failing(results()[0], "diverged", "late", {"C01": "fail", "C08": "pass"}), restarts=3)
    never = replace(failing(results()[1], "diverged", "never", {"C01": "fail", "C08": "n/a"}), restarts=3)
    report(tmp_path / "run", [late, never])
    said = text(tmp_path / "run")

    assert "### Only init number 3 succeeds: 1 trial\n" in said
    assert said.index("### No init succeeds any more (3 tried): 1 trial\n") < said.index("### Only")
    assert "In 2 it failed, and in 1 of these so did every further one." in said


def test_failures_that_differ_in_numbers_only_are_one_kind(tmp_path: Path) -> None:
    """One heading, one reason and one command for all of them; every boundary with what struck it."""
    said = "temporary file '.tmp{}' is left of 8f6a2c1e-0d3b-4b7e-9a51-3c2f5e7d9b1{} at 0x{}f"
    trials = [failing(trial, "diverged", said.format(n, n, n), {"C04": "fail"}) for n, trial in enumerate(results())]
    report(tmp_path / "run", [*trials[:9], failing(results()[9], "diverged", "semaphore 1", {"C04": "fail"})])
    page = text(tmp_path / "run")

    assert "### C04: 9 trials" in page
    assert "### C04: 1 trial\n" in page
    assert page.count("crashinit replay steps/") == 2
    assert "- loopback: `loop.set-fd data#1` (process, tree)" in page


def test_what_an_error_was_is_told_by_its_name(tmp_path: Path) -> None:
    """A boundary that failed is listed with the error, and whether it lasted."""
    error = replace(
        failing(results()[0], "diverged", "it hung", {"C15": "fail"}),
        id="explore/errno/op/EIO-always",
        fault="errno",
        victim="always",
    )
    report(tmp_path / "run", [error])

    assert "(EIO always)" in text(tmp_path / "run")


def test_a_long_reason_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    """A page bears a few lines; what a program says last is often why."""
    report(tmp_path / "run", [failing(results()[0], "diverged", f"begin {'x' * 999} end", {"C01": "fail"})])
    (line,) = [line for line in text(tmp_path / "run").splitlines() if line.startswith(">")]

    assert line.startswith("> begin x")
    assert line.endswith("x end")
    assert len(line) < REASON + 10


def test_a_failure_that_a_cold_boot_does_not_show_is_named(tmp_path: Path) -> None:
    """What was tried again without clones and forks is told apart."""
    report(tmp_path / "run", mixed())
    report(tmp_path / "run" / plain.CONFIRMED, [mixed()[0], results()[7]])
    said = text(tmp_path / "run")

    assert "2 of the 3 trials that did not converge were tried again" in said
    assert "1 of them ended as before" in said
    assert f"- {mixed()[7].id}: not-fired, from a cold boot converged" in said
    assert said.endswith(
        f"```sh\ncrashinit replay {mixed()[0].id} --run {tmp_path / 'run'} --provider qemu-cold\n```\n"
    )


def test_what_was_all_tried_again_from_a_cold_boot_is_one_command(tmp_path: Path) -> None:
    """The command does what was done: all failures, and no others."""
    report(tmp_path / "run", mixed())
    report(tmp_path / "run" / plain.CONFIRMED, [trial for trial in mixed() if trial.outcome != "converged"])

    plan = tmp_path / "run" / "plan.json"
    assert text(tmp_path / "run").endswith(f"```sh\ncrashinit replay {plan} --failed --provider qemu-cold\n```\n")


def test_a_trial_without_a_verdict_is_no_failure_of_the_driver(tmp_path: Path) -> None:
    """What did not fire or could not be judged counts for no clause, and has a section with ids and reasons."""
    report(tmp_path / "run", [*unjudged(), *results()[2:]])
    said = text(tmp_path / "run")
    wedges, _, rest = said.partition("## Did not fire\n")
    unfired, _, errors = rest.partition("## What the harness could not judge\n")

    assert "init was disturbed in 28 trials. In 28 of them the init that followed put everything in order. " in said
    assert "In 0 it failed. In 1 further trial the fault did not fire. 1 trial could not be judged." in said
    assert "fails in" not in said
    assert "- C01: in all 28 trials that it applies to" in said
    assert "Nothing in the 28 trials that were judged." in said
    assert "None in the 28 trials that were judged: after each fault" in wedges
    for trial, section, reason in zip(unjudged(), (unfired, errors), (UNFIRED, UNSEEN), strict=True):
        assert f"- `{trial.id}`" in section
        assert f"> {reason}" in section
        assert f"```sh\n{trial.replay} --run {tmp_path / 'run'}" in section


def test_a_run_without_a_verdict_claims_nothing(tmp_path: Path) -> None:
    """Where no trial was judged nothing holds, nothing fails, and no wedge is denied."""
    report(tmp_path / "unjudged", unjudged())
    report(tmp_path / "none", [])

    for name in ("unjudged", "none"):
        said = text(tmp_path / name)
        assert "In short: nothing is known of the driver, since no trial was judged." in said
        assert said.count("Not known: no clause was judged.") == 2
        assert "Not known: no trial was judged." in said
        assert "Nothing: every clause" not in said
        assert "None: after every fault" not in said


def test_what_an_interruption_left_undone_is_told(tmp_path: Path) -> None:
    """The planned trials without a result are counted at the top, and nothing is claimed of them."""
    with Reports(tmp_path / "run") as emit:
        for event in [*sequence(results())[:5], RunFinished(4.0, True)]:
            emit(event)
    said = text(tmp_path / "run")

    short = said.partition("## What was run")[0]
    assert "28 of the 30 planned trials have no result: the run was interrupted." in short
    assert "Nothing in the 2 trials that were judged." in said
    assert "None in the 2 trials that were judged:" in said


def test_one_trial_is_no_plural(tmp_path: Path) -> None:
    """A clause that applies to one trial, and one that fails in it."""
    report(tmp_path / "run", [failing(results()[0], "diverged", "late", {"C01": "pass", "C04": "fail"})])
    said = text(tmp_path / "run")

    assert "- C01: in the 1 trial that it applies to" in said
    assert "- C04: fails in 1 of 1 trial" in said
    assert "1 trials" not in said


def test_an_operation_outside_every_step_is_labelled(tmp_path: Path) -> None:
    """No line of the list begins with nothing."""
    report(tmp_path / "run", [replace(failing(results()[0], "diverged", "late", {"C04": "fail"}), step="")])

    assert "- (no step): `loop.set-fd data#1` (process)" in text(tmp_path / "run")


def test_no_string_of_a_stored_run_is_markdown(tmp_path: Path) -> None:
    """The page of a run that somebody sent has the harness's own headings, links and code, and no others."""
    evil = "`x`](https://evil.example) <img src=x> | **all converged**\n\n# 0 failures"
    trial = replace(
        failing(results()[0], "diverged", evil, {evil: "fail"}), scenario=evil, step=evil, operation=evil, victim=evil
    )
    unfired = replace(failing(results()[1], "not-fired", evil, {}), id=evil)
    run = [trial, unfired]
    with Reports(tmp_path / "run") as emit:
        emit(RunStarted(evil, evil, evil, [t.id for t in run], [evil]))
        for done in run:
            emit(TrialFinished(done))
        emit(RunFinished(1.0, False))
    report(tmp_path / "run" / plain.CONFIRMED, [results()[1]])
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text(tmp_path / "run"))
    children = [child for token in tokens for child in token.children or []]

    assert {child.type for child in children} <= {"text", "code_inline", "softbreak"}
    assert not [token for token in tokens if token.type == "html_block"]
    headings = [tokens[n + 1].content for n, token in enumerate(tokens) if token.type == "heading_open"]
    assert "0 failures" not in headings
    assert len([token for token in tokens if token.type == "td_open"]) == 2 * 6


def planned_trial(name: str) -> Trial:
    return Trial(name, "d", "s", Setup("fresh", (), 60.0), Point("mkfs", "before", 9, "op"), "kill", "tree", 3)


@pytest.mark.parametrize("select", ["", "mkfs and (tree or 'x')"])
def test_all_of_it_again_is_no_more_than_was_run(tmp_path: Path, select: str) -> None:
    """The command has the run's '-k'; of a run that was narrowed in another way it is said that it runs more."""
    write(tmp_path / "plan.json", [planned_trial(trial.id) for trial in results()])
    with Reports(tmp_path) as emit:
        emit(RunStarted("d", "qemu", "tcg", [trial.id for trial in results()[:2]], narrowed=True, select=select))
        for trial in results()[:2]:
            emit(TrialFinished(trial))
        emit(RunFinished(1.0, False))
    said = text(tmp_path)
    command = f"crashinit replay {tmp_path}/plan.json -n 2"

    if select:
        assert f"{command} -k 'mkfs and (tree or '\"'\"'x'\"'\"')'\n" in said
        assert "trials of the plan" not in said
    else:
        assert f"{command}\n" in said
        assert "The command runs all 30 trials of the plan. This run was asked for 2 of them" in said


def test_a_whole_run_again_is_the_plan(tmp_path: Path) -> None:
    """Nothing is to be said of what the command runs."""
    write(tmp_path / "plan.json", [planned_trial(trial.id) for trial in results()])
    report(tmp_path, results())

    assert f"crashinit replay {tmp_path}/plan.json -n 2\n" in text(tmp_path)
    assert "trials of the plan" not in text(tmp_path)


def test_all_again_is_in_the_same_virtual_time(tmp_path: Path) -> None:
    """The seed of a run's machines is in the command for all of it, as in that for one trial."""
    report(tmp_path, results())
    facts = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**facts, "provider": "qemu-virtual:7"}))

    assert f"crashinit replay {tmp_path}/plan.json -n 2 --provider qemu-virtual --seed 7\n" in text(tmp_path)
