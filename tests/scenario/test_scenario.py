"""The scenario model: what a file may say, and one sentence for what it may not."""

import os
from pathlib import Path

import pytest
from crashinit.errors import UsageError
from crashinit.scenario.scenario import find, from_options, load


def written(directory: Path, *lines: str) -> Path:
    path = directory / "scenario.yaml"
    path.write_text("\n".join(["title: t", *lines]) + "\n")
    return path


def test_a_power_cut_strikes_a_root_on_disks_of_its_own(tmp_path: Path) -> None:
    """The disks are ext4 unless the scenario says otherwise; other faults begin on the machine's own disk."""
    assert load(written(tmp_path, "step: mkfs", "fault: power-cut")).given == "ext4"
    assert load(written(tmp_path, "step: mkfs", "fault: power-cut", "given: xfs-populated")).given == "xfs-populated"
    assert load(written(tmp_path, "step: mkfs")).given == "fresh"
    assert load(written(tmp_path, "step: mkfs", "given: {made-by: old@sid}")).given == "made-by:old@sid"
    assert load(written(tmp_path, "step: mkfs", "given: made-by:old")).given == "made-by:old"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["fault: power-cut", "given: fresh"], "a power cut needs 'given: ext4'"),
        (["fault: power-cut", "victims: [tree]"], "it has no 'victims'"),
        (["fault: power-cut", "actor: holder"], "it has no 'actor'"),
        (["fault: actor"], "needs an 'actor': who comes"),
        (["actor: hodler"], "'actor' is 'hodler', but may only be 'holder'"),
        (["release: never"], "there is no 'actor'"),
        (["actor: holder", "recovery: reboot"], "a reboot ends every actor"),
        (["udev: late", "recovery: reboot"], "a reboot starts udevd anew"),
        (["actor: second-init", "release: never"], "'second-init' holds nothing"),
        (["actor: other-owner", "release: never"], "has to let go once"),
        (["udev: lat"], "'udev' is 'lat', but may only be"),
        (["fault: power-cut", "recovery: reboot"], "it has no 'recovery'"),
        (["errnos: [EIO]"], "'errnos' goes with 'fault: errno'"),
        (["fault: errno", "victims: [tree]"], "it has no 'victims'"),
        (["steps: [mkfs]"], "'steps' narrows 'step: all'"),
        (["given: block"], "'given: block' names disks, which only 'fault: power-cut' needs"),
        (["fault: power-cut", "given: btrfs"], "'given' is 'btrfs', but may only be"),
        (["given: 'made-by:'"], "'given' is 'made-by:', but may only be .* or 'made-by:ADAPTER@GUEST'"),
        (["given: made-by:a@b@c"], "'given' is 'made-by:a@b@c'"),
        (["fault: power-cut", "given: made-by:a"], "a power cut needs 'given: ext4'"),
    ],
)
def test_what_does_not_go_with_a_fault_is_refused(tmp_path: Path, lines: list[str], said: str) -> None:
    """A key that would have no effect is no silent one."""
    with pytest.raises(UsageError, match=said):
        load(written(tmp_path, "step: mkfs", *lines))


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """YAML would take the last one; the sentence names both lines."""
    path = written(tmp_path, "step: pool-create", "step: mkfs")

    with pytest.raises(UsageError, match=f"{path}:3: the key 'step' stands in line 2 already"):
        load(path)


def test_what_is_no_scenario_file_is_named(tmp_path: Path) -> None:
    """A Python module goes to pytest; text that is not UTF-8 is told by its line."""
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"title: t\nstep: mkfs # gr\xfcn\n")

    with pytest.raises(UsageError, match="is run by pytest"):
        load(tmp_path / "test_x.py")
    with pytest.raises(UsageError, match=f"{latin}:2: a scenario is text in UTF-8"):
        load(latin)


BOMB = "\n".join(f" - &{n} [{', '.join(['x' if n == 'a' else f'*{chr(ord(n) - 1)}'] * 9)}]" for n in "abcdefghi")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: t\x00x\nstep: mkfs\n", ":1: not valid YAML: the character U\\+0000 may not stand there"),
        ("title: t\nstep: mkfs\nname: \x1b[2J\n", ":3: not valid YAML: the character U\\+001B may not stand there"),
        ("title: t\nstep: mkfs\noptions: " + "[" * 5000, ":3: not valid YAML: lists and mappings are nested more than"),
        (
            "title: t\nrestarts: " + "9" * 5000,
            ":2: not valid YAML: '9{12}.*9' is no whole number of at most 4,300 digits\\.$",
        ),
        ("title: 2026-13-45\nstep: mkfs\n", ":1: not valid YAML: '2026-13-45' is no date\\.$"),
        (
            "title:\n" + BOMB + "\nstep: mkfs\n",
            r":3: not valid YAML: an alias \('\*a'\) is not allowed: write the value",
        ),
        ("title: t\noptions: [" + "x, " * 20_000 + "x]\n", ":2: not valid YAML: there are more than 10,000 values"),
        ("title: t\nstep: mkfs\ndeadline: yes\n", ":3: 'deadline' is yes, but must be a number\\.$"),
        ("title: t\nstep: mkfs\ndeadline: .nan\n", ":3: 'deadline' is .nan, but must be a finite number\\.$"),
        ("title: t\nstep: mkfs\ndeadline: .inf\n", ":3: 'deadline' is .inf, but must be a finite number\\.$"),
        ("title: t\nstep: mkfs\nrestarts: yes\n", ":3: 'restarts' is yes, but must be a whole number\\.$"),
        ("title: t\nstep: mkfs\nrestarts: 2.0\n", ":3: 'restarts' is 2.0, but must be a whole number\\.$"),
        ("title: t\nstep: all\nrepresentative: 1\n", ":3: 'representative' is 1, but must be 'true' or 'false'\\.$"),
        ("title: t\nstep: all\nsteps: 3\n", ":3: 'steps' is 3, but must be a list in brackets\\.$"),
        ("title: t\nstep: all\nsteps: mkfs\n", ":3: 'steps' is 'mkfs', but must be a list in brackets\\.$"),
        (
            "title: t\nstep: mkfs\noptions:\n - a\n - no\n",
            ":5: an item of 'options' is no, but must be a text in quotes\\.$",
        ),
        ("title: yes\nstep: mkfs\n", ":1: 'title' is yes, but must be a text in quotes\\.$"),
        ("title: t\nstep: mkfs\ndeadline: 0\n", ":3: 'deadline' is 0, but must be more than 0\\.$"),
        ("title: t\nstep: mkfs\nrestarts: 11\n", ":3: 'restarts' is 11, but must be at most 10\\.$"),
        ("title: t\nstep: mkfs\nrestarts: !!int x\n", ":3: not valid YAML: 'x' is no whole number of at most"),
        ("title: t\nstep: mkfs\nrestarts: !!bool x\n", ":3: not valid YAML: 'x' is no 'true' or 'false'\\.$"),
        ("title: t\nstep: mkfs\nrestarts: !!timestamp x\n", ":3: not valid YAML: 'x' is no date\\.$"),
        ("title: t\nat: ['dm.create pool#1', 'dm.create pool#1']\n", ":2: 'at' names 'dm.create pool#1' twice"),
        ("title: t\nstep: mkfs\nvictims: [tree, tree]\n", ":3: 'victims' names 'tree' twice"),
        ("title: t\nstep: mkfs\nphases: [before, before]\n", ":3: 'phases' names 'before' twice"),
        ("title: t\nstep: all\nsteps: [mkfs, mkfs]\n", ":3: 'steps' names 'mkfs' twice"),
        ("title: t\nfault: errno\nstep: all\nerrnos: [EIO, EIO]\n", ":4: 'errnos' names 'EIO' twice"),
        ("title: t\nstep: mkfs\nname: " + "n" * 300, ":3: 'name' has 300 characters, and at most 100 are allowed"),
        ("title: t\nstep: mkfs\nname: ../../x\n", ":3: 'name' is '../../x': .* begin with a dot, a dash or a blank"),
        ("title: t\nstep: mkfs\nname: /x\n", ":3: 'name' is '/x': "),
        ("title: t\nstep: mkfs\nname: a//b\n", ":3: 'name' is 'a//b': "),
        ("title: t\nstep: mkfs\nname: --run=x\n", ":3: 'name' is '--run=x': "),
        ('title: t\nstep: mkfs\nname: "a\\nb"\n', ":3: 'name' is 'a\nb': "),
        ('title: t\nstep: mkfs\nname: "n\\e]0;owned\\a"\n', "'name' holds the control character"),
        ('title: t\nstep: mkfs\noptions: ["a\\0b"]\n', r"'options' holds the control character '\\x00'"),
        ("title: t\nstep: " + "mkfz" * 10_000, ":2: 'step' is 'mkfz.{1,40}', but may only be"),
        (
            "title: " + "t" * 2000 + "\nstep: mkfs",
            ":1: 'title' is 't+\\.\\.\\.t+', but must be a text of at most 1000 characters\\.$",
        ),
    ],
)
def test_a_scenario_of_a_stranger_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    """Neither a traceback nor minutes of work: the file, the line, what is wrong, and nothing of its bulk."""
    path = tmp_path / "scenario.yaml"
    path.write_text(text)

    with pytest.raises(UsageError, match=said) as error:
        load(path)
    assert str(error.value).startswith(f"{path}:")
    assert len(str(error.value)) < 600


def test_a_scenario_file_is_bounded(tmp_path: Path) -> None:
    """What has more than a MiB, a fifo, a device and what is not there are refused at once."""
    large = tmp_path / "large.yaml"
    large.write_text("title: t\nstep: mkfs\n" + "# padding\n" * 200_000)
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "gone.yaml").symlink_to("nowhere")

    with pytest.raises(UsageError, match="a scenario has more than 1 MiB, and that is the limit"):
        load(large)
    with pytest.raises(
        UsageError, match=f"{tmp_path}/fifo.yaml: a scenario must be a regular file, and this is not one"
    ):
        find([tmp_path])
    with pytest.raises(UsageError, match="/dev/zero: a scenario must be a regular file"):
        find([Path("/dev/zero")])
    with pytest.raises(UsageError, match=r"/gone\.yaml: a scenario cannot be read: No such file or directory"):
        load(tmp_path / "gone.yaml")


def test_scenarios_that_come_along_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`scenarios/steps` is the working directory's own if there is one; nothing else is looked for elsewhere."""
    (tmp_path / "own" / "scenarios" / "steps").mkdir(parents=True)
    written(tmp_path / "own" / "scenarios" / "steps", "step: mkfs")

    monkeypatch.chdir(tmp_path)
    assert [scenario.step for scenario in find([Path("scenarios/steps/mkfs.yaml")])] == ["mkfs"]
    assert len(find([Path("scenarios/steps")])) == 5
    for name in ("scenarios/nonesuch", "steps", "scenarios/../../pyproject.toml.yaml"):
        with pytest.raises(UsageError, match=f"'{name}' does not exist"):
            find([Path(name)])
    monkeypatch.chdir("own")
    assert [scenario.name for scenario in find([Path("scenarios/steps")])] == ["steps/scenario"]


def test_a_name_may_hold_blanks_and_letters_of_any_language(tmp_path: Path) -> None:
    """Folders have such names; whoever prints a command quotes them."""
    folder = tmp_path / "my dir"
    folder.mkdir()

    assert load(written(folder, "step: mkfs")).name == "my dir/scenario"
    assert load(written(tmp_path, "step: mkfs", "name: été; touch x #")).name == "été; touch x"


def test_options_are_called_by_their_names(tmp_path: Path) -> None:
    """What is wrong with an option is not said in the words of a file."""
    about = {"title": "t", "step": "all", "steps": ["no-step"]}

    with pytest.raises(UsageError, match="'--step' is 'no-step'"):
        from_options(about, {"steps": "--step"})
    with pytest.raises(UsageError, match="'--given ext4' names disks"):
        from_options({"title": "t", "step": "all", "given": "ext4"}, {"given": "--given"})
    with pytest.raises(UsageError, match="'--victim' names 'tree' twice"):
        from_options({"title": "t", "step": "all", "victims": ["tree", "tree"]}, {"victims": "--victim"})


@pytest.mark.parametrize("name", ["-k.yaml", "a\nb.yaml", os.fsdecode(b"caf\xe9.yaml")])
def test_a_name_that_comes_from_the_files_path_is_told_as_such(tmp_path: Path, name: str) -> None:
    """Who has written no 'name' is not to look for one in the file."""
    path = tmp_path / name
    path.write_text("title: t\nstep: mkfs\n")

    with pytest.raises(UsageError, match="this one is the file's path: rename the file, or set 'name' in it"):
        load(path)
