"""`crashinit bisect`: in which version a failure appears or goes."""

from pathlib import Path

import pytest
from crashinit.cli import bisect

from ..report.events import failing, report, results
from ..toys import STRIKE, crashinit, shell_driver


def test_a_trial_is_the_same_in_another_version_but_for_numbers() -> None:
    """Operations are counted from one again in each version; all else of the id must agree."""
    trial = "steps/mkfs/during/dev.write-base-12/tree"

    assert bisect.same_but_for_numbers("steps/mkfs/during/dev.write-base-3/tree", trial)
    assert not bisect.same_but_for_numbers("steps/mkfs/during/dev.fsync-base-12/tree", trial)
    assert not bisect.same_but_for_numbers("steps/mkfs/during/dev.write-base-12/process", trial)


def test_the_answer_of_a_run(tmp_path: Path) -> None:
    """It fails if some trial does, by the clause that is named; without a trial that was judged it is unclear."""
    good, bad, mute = (tmp_path / name for name in ("good", "bad", "mute"))
    report(good, results()[:2])
    report(bad, [results()[0], failing(results()[1], "diverged", "x", {"C04": "fail"})])
    report(mute, [failing(results()[0], "not-fired", "x", {})])

    assert [bisect.answer(run, "") for run in (good, bad, mute)] == [False, True, None]
    assert [bisect.answer(bad, clause) for clause in ("C04", "C07")] == [True, False]


def test_the_change_is_one_sentence() -> None:
    """Which version is the last of the old state and which the first of the new, and what is unclear between them."""
    called = ("1.6", "1.7", "2.1")
    assert bisect.change("'t'", called, 0, 2, True) == (
        "'t' fails up to 1.6 and fails no more from 2.1 on; unclear between them: 1.7."
    )
    assert bisect.change("'t'", called, 1, 2, False) == "'t' does not fail up to 1.7 and fails from 2.1 on."
    assert bisect.no_change("'t'", called, True, True) == (
        "'t' fails in 1.6 and fails in 2.1: there is no change to find between them."
    )
    assert bisect.no_change("'t'", called, True, None).startswith("'t' is unclear in 2.1")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--driver", "reference"], "nothing to halve"),
        (["--driver", "reference", "--driver", "reference"], "two versions are called 'reference'"),
        (["--driver", "reference", "--driver", "dockerd", "--guest", "debian12", "--guest", "sid"], "one of either"),
        (["--driver", "reference", "--driver", "nosuch"], "nosuch"),
        (["--driver", "reference", "--guest", "debian12", "--guest", "sid", "--clause", "C99"], "'C99' is no clause"),
    ],
)
def test_what_cannot_be_halved_is_refused(asked: list[str], said: str) -> None:
    """One sentence, before any machine starts."""
    ended = crashinit("bisect", "--trial", "t", *asked)

    assert ended.returncode == 4
    assert said in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.xdist_group("trial")
@pytest.mark.turn(2)
def test_three_versions_of_a_driver_in_real_machines(tmp_path: Path) -> None:
    """The first two leave a temporary file behind when they are killed, and wedge on it; the third does not."""
    script = "{check}echo x > {{root}}/new; mv {{root}}/new {{root}}/done"
    wedge = '[ ! -e {root}/new ] || { echo "new is there" >&2; exit 1; }; '
    for name, check in (("v1", wedge), ("v2", f": two; {wedge}"), ("v3", "")):
        body = shell_driver(script.format(check="@").replace("{{", "{").replace("}}", "}").replace("@", check), name)
        (tmp_path / f"{name}.toml").write_text(body.replace(f"/var/lib/{name}", "/var/lib/versions"))
    (tmp_path / "s.yaml").write_text(f"{STRIKE}victims: [tree]\n")
    asked = [word for name in ("v1", "v2", "v3") for word in ("--driver", str(tmp_path / f"{name}.toml"))]
    ended = crashinit(
        "bisect", str(tmp_path / "s.yaml"), *asked, "--trial", "s/exec-mv-1/tree", "--out", str(tmp_path / "o")
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "'s/exec-mv-1/tree' fails up to v2 and fails no more from v3 on." in ended.stdout
    assert "3 of 3 versions were tried." in ended.stdout


def test_a_mistake_of_the_user_is_no_unclear_version(tmp_path: Path) -> None:
    """A scenario that is wrong, and a place that is used, end it at once: no version has anything to do with them."""
    (tmp_path / "bad.yaml").write_text("title: kill it\nstpe: mkfs\n")
    (tmp_path / "good.yaml").write_text("title: kill it\nstep: mkfs\n")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/letter.txt").touch()
    versions = ["--driver", "reference", "--driver", "loop-dir", "--trial", "t"]

    wrong = crashinit("bisect", "bad.yaml", *versions, "--out", "new")
    used = crashinit("bisect", "good.yaml", *versions, "--out", "used")

    assert wrong.returncode == used.returncode == 4
    assert "bad.yaml:2: unknown key 'stpe'" in wrong.stderr
    assert "'used' has to be a new or an empty directory" in used.stderr
    assert wrong.stdout == used.stdout == ""
