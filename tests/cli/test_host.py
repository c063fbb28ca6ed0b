"""Commands on what there is to work with."""

from pathlib import Path

from ..toys import NO_POOL, crashinit, shell_driver


def test_a_check_says_what_the_adapter_lacks_and_nothing_before(tmp_path: Path) -> None:
    """A source that is not there is told with file, line and key, as what else is wrong with an adapter."""
    (tmp_path / "d.toml").write_text(
        shell_driver("true").replace(NO_POOL, '[install]\nfiles = [{ source = "nonesuch", target = "/x" }]\n' + NO_POOL)
    )
    ended = crashinit("drivers", "check", "./d.toml")

    assert (ended.returncode, ended.stdout) == (4, "")
    assert "error: 'd.toml', line 9: 'install.files.source': the adapter's source" in ended.stderr
