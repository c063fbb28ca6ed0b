"""The pytest plugin: scenario files are collected as tests, one test a trial.

    pytest scenarios --crashinit-driver reference -n 2 --junitxml junit.xml

The plan is made once, by the process that the user started: the workers of pytest-xdist read it, so that all of
them collect the same ids. Modules in plain Python get machines by the fixtures `machine`, `driver` and `host`.
"""

import os
import re
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from crashinit import fixtures
from crashinit.errors import CrashinitError
from crashinit.events import CONFIRM, Listener, Note, RunFinished, RunStarted, TrialFinished, TrialResult
from crashinit.printable import one_line, printable

OPTIONS = {
    "driver": "the driver under test: an adapter's name, or the path of an adapter file",
    "provider": "where machines come from: qemu (default) or vagrant",
    "out": "the directory of the run's results (default: reports/pytest)",
    "confirm": f"how many more times a trial that diverged is tried (default: {CONFIRM})",
    "repeat": "how many more times every trial is tried, also one that converged (default: 0)",
}
DEFAULTS = {"driver": "", "provider": "qemu", "out": "reports/pytest", "confirm": str(CONFIRM), "repeat": "0"}
WORKER_PREPARED = "crashinit_prepared"  # in xdist's workerinput: the plan is there


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("crashinit", "crash tests of a storage driver's initialisation")
    for name, text in OPTIONS.items():
        variable = f"CRASHINIT_{name.upper()}"
        group.addoption(f"--crashinit-{name}", default=None, metavar=name.upper(), help=f"{text} (or ${variable})")
        parser.addini(f"crashinit_{name}", text, default="")


def option(config: pytest.Config, name: str) -> str:
    """An option's value: command line, then environment, then ini file, then default."""
    given = config.getoption(f"--crashinit-{name}") or os.environ.get(f"CRASHINIT_{name.upper()}")
    return str(given or config.getini(f"crashinit_{name}") or DEFAULTS[name])


def number(config: pytest.Config, name: str) -> int:
    """An option that is a number; raises UsageError."""
    text = option(config, name)
    if not re.fullmatch("[0-9]{1,6}", text):
        raise pytest.UsageError(f"crashinit: '--crashinit-{name}' is '{one_line(text)}', and must be a number.")
    return int(text)


def pytest_configure(config: pytest.Config) -> None:
    # Registered late, so that its `host` stands before the one of testinfra's own plugin.
    config.pluginmanager.register(fixtures, "crashinit-fixtures")
    if option(config, "driver") and not config.option.help:
        config.pluginmanager.register(Campaign(config), "crashinit-campaign")


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Say why scenario files were passed over, where they were all that there was."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and not option(config, "driver") and _scenario_paths(config):
        terminalreporter.write_line("crashinit: scenario files need a driver: give '--crashinit-driver reference'.")


class Campaign:
    """One pytest run over scenario files."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.driver = option(config, "driver")
        self.provider = option(config, "provider")
        self.out = Path(option(config, "out"))
        self.tries = number(config, "confirm"), number(config, "repeat")
        self.results: dict[str, TrialResult] = {}  # of this process
        self.is_worker = hasattr(config, "workerinput")
        self.prepared: Any = None
        self._stack = ExitStack()
        self._runner: Any = None
        self._listen: Listener | None = None
        self._begin = 0.0
        self._interrupted = False

    def runner(self) -> Any:
        """This process's TrialRunner, made when it is first needed."""
        from crashinit.campaign import make_runner

        if self._runner is None:
            self._runner = self._stack.enter_context(make_runner(self.driver, self.provider, self.out))
        return self._runner

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        from crashinit import adapters, campaign, kept, scenario

        try:
            if self.is_worker:
                if self.config.workerinput.get(WORKER_PREPARED):  # type: ignore[attr-defined]
                    self.prepared = kept.read_prepared(self.out)
                return
            adapters.load(self.driver)
            scenarios = scenario.find(_scenario_paths(self.config)) if _scenario_paths(self.config) else []
            if scenarios:
                self.prepared = campaign.prepare(scenarios, self.driver, self.provider, self.out, self._note)
                self.prepared.store(self.out)
        except CrashinitError as error:
            raise pytest.UsageError(f"crashinit: {error}") from error

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[WORKER_PREPARED] = self.prepared is not None

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if file_path.suffix == ".yaml" and self.prepared:
            return ScenarioFile.from_parent(parent, path=file_path)
        return None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self.is_worker and not self.config.option.collectonly:
            self._start([item.name for item in session.items if isinstance(item, TrialItem)])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        if self._listen is None and self.prepared:
            known = {trial.id for trial in self.prepared.trials}
            self._start([name for name in (test.rpartition("::")[2] for test in ids) if name in known])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if isinstance(item, TrialItem) and call.when == "call" and item.result:
            report.crashinit = item.result.as_json()  # a plain dict: xdist carries it to the controller
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, "crashinit", None)
        if data and self._listen:
            self._listen(TrialFinished(TrialResult(**data)))

    def pytest_keyboard_interrupt(self) -> None:
        self._interrupted = True

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        from time import monotonic

        self._stack.close()
        if self._listen and not self.is_worker:
            self._listen(RunFinished(monotonic() - self._begin, self._interrupted))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._listen:
            terminalreporter.write_line(f"crashinit: the report is {self.out / 'report.html'}")

    def _start(self, trials: list[str]) -> None:
        from time import monotonic

        from crashinit.report import file_listeners

        if not trials or self.prepared is None:
            return
        self._begin = monotonic()
        self._listen = file_listeners(self.out)
        self._listen(RunStarted(self.driver, self.provider, self.prepared.accel, trials))

    def _note(self, event: Any) -> None:
        if isinstance(event, Note) and self.config.option.verbose >= 0:
            reporter = self.config.pluginmanager.get_plugin("terminalreporter")
            if reporter:
                reporter.write_line(f"crashinit: {one_line(event.text)}")


class ScenarioFile(pytest.File):
    """One scenario file; its tests are the trials that the plan holds for it."""

    def collect(self) -> Iterable[pytest.Item]:
        from crashinit.scenario import load

        campaign = self.config.pluginmanager.get_plugin("crashinit-campaign")
        assert isinstance(campaign, Campaign)
        name = load(self.path).name
        for trial in campaign.prepared.trials:
            if trial.scenario == name:
                yield TrialItem.from_parent(self, name=trial.id, trial=trial, campaign=campaign)


class TrialFailedError(Exception):
    """A trial that did not converge; its text is all that a reader needs."""


class TrialItem(pytest.Item):
    """One trial as a test."""

    def __init__(self, *, trial: Any, campaign: Campaign, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trial = trial
        self.campaign = campaign
        self.result: TrialResult | None = None

    def runtest(self) -> None:
        from crashinit import campaign
        from crashinit.tries import HowOften

        self.result = campaign.run_one(
            self.campaign.runner(),
            self.trial,
            self.campaign.prepared,
            self.campaign.out,
            HowOften(*self.campaign.tries),
            self.campaign.results,
        )
        self.campaign.results[self.trial.id] = self.result
        if self.result.outcome != "converged":
            raise TrialFailedError

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if not isinstance(excinfo.value, TrialFailedError) or self.result is None:
            return super().repr_failure(excinfo)
        failed = [
            f"  {clause}: {self.result.clause_reasons.get(clause, '')}"
            for clause, status in self.result.clauses.items()
            if status == "fail"
        ]
        from crashinit.report.again import replay
        from crashinit.report.kinds import how_often

        again = replay(self.result, self.campaign.out)
        often = [f"  {said}" for said in (how_often([self.result]),) if said]
        lines = [f"{self.result.outcome}: {self.result.reason}", *often, *failed, f"again: {again}"]
        return "\n".join(map(printable, lines))

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return self.path, None, self.name


def _scenario_paths(config: pytest.Config) -> list[Path]:
    """The scenario files and the directories with such files among pytest's arguments."""
    paths = [Path(config.invocation_params.dir, argument.split("::")[0]) for argument in config.args]
    return [path for path in paths if path.suffix == ".yaml" or (path.is_dir() and any(path.rglob("*.yaml")))]
