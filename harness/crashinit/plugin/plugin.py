"""The pytest plugin: scenario files are collected as tests, one test a trial.

    pytest scenarios --crashinit-driver reference -n 2 --junitxml junit.xml

The plan is made once, by the process that the user started: the workers of pytest-xdist read it, so that all of
them collect the same ids. Modules in plain Python get machines by the fixtures `machine`, `driver` and `host`.
"""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from crashinit.campaign.interruption import as_ctrl_c, left_to_the_owner, speak_to_nobody_if_the_terminal_is_gone
from crashinit.errors import CrashinitError, UsageError
from crashinit.model.events import Listener, Note, RunFinished, RunStarted, TrialFinished, TrialResult
from crashinit.plugin import fixtures
from crashinit.plugin.items import CAMPAIGN, ScenarioFile, TrialItem, shown
from crashinit.plugin.options import FLAGS, OPTIONS, flag, number, option, provider, variable
from crashinit.scenario.files import below, looks_like_a_scenario
from crashinit.text.printable import one_line

# In the workerinput of xdist: the run's directory, and where the plan is.
WORKER_OUT, WORKER_PLAN = "crashinit_out", "crashinit_plan"
NEEDS_A_DRIVER = "scenario files need a driver: give '--crashinit-driver D', where D is 'reference' or another adapter."
LISTINGS = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan", "cacheshow")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("crashinit", "crash tests of a storage driver's initialisation")
    for name, text in OPTIONS.items():
        kind: dict[str, Any] = {"action": "store_const", "const": "yes"} if name in FLAGS else {"metavar": name.upper()}
        group.addoption(f"--crashinit-{name}", default=None, help=f"{text} (or ${variable(name)})", **kind)
        parser.addini(variable(name).lower(), text, default="")


def pytest_configure(config: pytest.Config) -> None:
    # Registered late, so that its `host` stands before the one of testinfra's own plugin.
    config.pluginmanager.register(fixtures, "crashinit-fixtures")
    if option(config, "driver") and not config.option.help:
        campaign = Campaign(config)
        config.pluginmanager.register(campaign, CAMPAIGN)
        config.add_cleanup(campaign.close)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse a scenario file on the command line that nobody would collect: pytest's own words are of another thing."""
    config = session.config
    if not option(config, "driver") and any(looks_like_a_scenario(path) for path in _named(config)):
        raise pytest.UsageError(f"crashinit: {NEEDS_A_DRIVER}")


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Say why scenario files were passed over, where they were all that there was."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and not option(config, "driver") and _scenario_paths(config):
        terminalreporter.write_line(f"crashinit: {NEEDS_A_DRIVER}")


class Campaign:
    """One pytest run over scenario files."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.driver = option(config, "driver")
        self.provider = provider(config)
        self.worker: dict[str, str] | None = getattr(config, "workerinput", None)
        named = (self.worker or {}).get(WORKER_OUT) or option(config, "out")
        self.out = Path(named or f"reports/pytest-{datetime.now():%Y%m%d-%H%M%S}").absolute()
        self.lists = _lists(config)
        self.tries = (
            number(config, "confirm"),
            number(config, "repeat"),
            number(config, "seeds"),
            not flag(config, "no-merge"),
        )
        self.results: dict[str, TrialResult] = {}  # of this process
        self.passed_over: dict[Path, str] = {}  # files that are no valid scenario and were not named, and why
        self.is_worker = self.worker is not None
        self.prepared: Any = None
        self._stack = ExitStack()
        self._runner: Any = None
        self._listen: Listener | None = None
        self._begin = 0.0
        self._interrupted = False
        self._planned: Path | None = None
        self._stack.enter_context(left_to_the_owner() if self.is_worker else as_ctrl_c())

    def close(self) -> None:
        """Let go of all: machines, the run's directory, signals."""
        self._stack.close()

    def runner(self) -> Any:
        """This process's TrialRunner, made when it is first needed."""
        from crashinit.campaign.planning import make_runner

        if self._runner is None:
            self._runner = self._stack.enter_context(make_runner(self.driver, self.provider, self.out))
        return self._runner

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        from crashinit import adapters
        from crashinit.campaign import planning
        from crashinit.campaign.tries import HowOften
        from crashinit.machine.provider import get_provider
        from crashinit.run import kept
        from crashinit.run.place import claimed
        from crashinit.scenario import scenario

        try:
            self._pass_over_others()
            if self.worker is not None:
                if self.worker.get(WORKER_PLAN):
                    self.prepared = kept.read_prepared(Path(self.worker[WORKER_PLAN]))
                return
            adapters.load(self.driver)
            scenarios = scenario.find(paths) if (paths := self._scenarios()) and not self.lists else []
            if scenarios:
                HowOften(*self.tries).require(get_provider(self.provider), options="--crashinit-")
                force = flag(self.config, "force")
                self._stack.enter_context(claimed(self.out, force=force, options="--crashinit-"))
                self.prepared = planning.prepare(scenarios, self.driver, self.provider, self.out, self._note)
        except CrashinitError as error:
            self._stack.close()
            raise pytest.UsageError(f"crashinit: {error}") from error

    def _pass_over_others(self) -> None:
        """Find the files that only look like scenarios: below a directory they stop nothing. Raises UsageError."""
        from crashinit.scenario import scenario

        named = _named(self.config)
        for path in _scenario_paths(self.config):
            try:
                scenario.load(path)
            except UsageError as error:
                if path in named:
                    raise
                self.passed_over[path] = str(error)

    def _scenarios(self) -> list[Path]:
        return [path for path in _scenario_paths(self.config) if path not in self.passed_over]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[WORKER_OUT] = str(self.out)
        if self.prepared:
            # Not yet in the run's directory: which trials are selected is not known, and without any the old run stays.
            if self._planned is None:
                self._planned = Path(self._stack.enter_context(TemporaryDirectory(prefix="crashinit-plan-")))
                self.prepared.store(self._planned)
            node.workerinput[WORKER_PLAN] = str(self._planned)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if file_path.suffix != ".yaml" or file_path in self.passed_over:
            return None
        if (self.prepared or self.lists) and _is_meant(file_path, self.config):
            return ScenarioFile.from_parent(parent, path=file_path)
        return None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self.is_worker and not self.lists:
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
        speak_to_nobody_if_the_terminal_is_gone()

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        from time import monotonic

        if self._listen and not self.is_worker:
            self._listen(RunFinished(monotonic() - self._begin, self._interrupted))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for said in self.passed_over.values():
            terminalreporter.write_line(f"crashinit: passed over: {one_line(said)}")
        if self._listen:
            terminalreporter.write_line(f"crashinit: the report is {shown(self.out) / 'report.html'}")
        if self.lists and self._scenarios():
            terminalreporter.write_line(
                "crashinit: a scenario's trials are known when an init has been recorded, which a listing does not do."
            )

    def _start(self, trials: list[str]) -> None:
        from time import monotonic

        from crashinit.campaign.tries import time_of
        from crashinit.machine.provider import get_provider
        from crashinit.machine.seed import apart
        from crashinit.report import file_listeners

        if not trials or self.prepared is None:
            return
        self._begin = monotonic()
        try:
            self.prepared.store(self.out)
        except CrashinitError as error:
            raise pytest.UsageError(f"crashinit: {error}") from error
        self._listen = file_listeners(self.out)
        name, guest = apart(self.provider)
        tried = [trial for trial in self.prepared.trials if trial.id in trials]
        self._listen(
            RunStarted(
                self.driver,
                name,
                self.prepared.accel,
                trials,
                narrowed=len(trials) < len(self.prepared.trials),
                time=time_of(tried, get_provider(self.provider)),
                guest=guest,
                kernel=self.prepared.kernel,
            )
        )

    def _note(self, event: Any) -> None:
        if isinstance(event, Note) and self.config.option.verbose >= 0:
            reporter = self.config.pluginmanager.get_plugin("terminalreporter")
            if reporter:
                reporter.write_line(f"crashinit: {one_line(event.text)}")


def _lists(config: pytest.Config) -> bool:
    """Whether pytest is only to tell what there is: then no machine is booted, and nothing is written."""
    return any(getattr(config.option, name, False) for name in LISTINGS)


def _given(config: pytest.Config) -> list[Path]:
    return [Path(config.invocation_params.dir, argument.split("::")[0]) for argument in config.args]


def _named(config: pytest.Config) -> list[Path]:
    """The YAML files that stand among pytest's arguments themselves."""
    return [path for path in _given(config) if path.suffix == ".yaml" and not path.is_dir()]


def _scenario_paths(config: pytest.Config) -> list[Path]:
    """The scenario files among pytest's arguments and below its directories."""
    found: list[Path] = []
    for path in _given(config):
        found += below(path, config.getini("norecursedirs")) if path.is_dir() else [path] * (path.suffix == ".yaml")
    return list(dict.fromkeys(found))


def _is_meant(path: Path, config: pytest.Config) -> bool:
    return path in _given(config) or looks_like_a_scenario(path)
