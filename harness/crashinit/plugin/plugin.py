"""The pytest plugin: scenario files are collected as tests, one test a trial.

    pytest scenarios --crashinit-driver reference -n 2 --junitxml junit.xml

The plan is made once, by the process that the user started: the workers of pytest-xdist read it, so that all of
them collect the same ids. Modules in plain Python get machines by the fixtures `machine`, `driver` and `host`.
"""

import os
import re
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from crashinit.campaign.interruption import as_ctrl_c, left_to_the_owner, speak_to_nobody_if_the_terminal_is_gone
from crashinit.errors import CrashinitError, UsageError
from crashinit.model.events import CONFIRM, Listener, Note, RunFinished, RunStarted, TrialFinished, TrialResult
from crashinit.plugin import fixtures
from crashinit.scenario.files import below, looks_like_a_scenario
from crashinit.text.printable import one_line, printable

OPTIONS = {
    "driver": "the driver under test: an adapter's name, or the path of an adapter file",
    "provider": "where machines come from: qemu (default), qemu-real, qemu-virtual, qemu-cold or vagrant",
    "guest": "what machines run: a guest's name (default: debian12), or the path of a guest file",
    "seed": "in virtual time: what the machines' clocks, random numbers and delays follow from (default: 0)",
    "out": "the directory of the run's results (default: a new one below reports)",
    "force": "'yes': replace the results that the directory holds",
    "confirm": f"how many more times a trial that diverged is tried (default: {CONFIRM})",
    "repeat": "how many more times every trial is tried, also one that converged (default: 0)",
    "seeds": "under how many seeds every trial is tried, from crashinit-seed on (default: 1)",
    "no-merge": "'yes': run each trial in full, also where its fault leaves the state of another trial",
}
DEFAULTS = {
    "driver": "",
    "provider": "qemu",
    "guest": "",
    "seed": "",
    "out": "",
    "force": "",
    "confirm": str(CONFIRM),
    "repeat": "0",
    "seeds": "1",
    "no-merge": "",
}
FLAGS = ("force", "no-merge")
# In the workerinput of xdist: the run's directory, and where the plan is.
WORKER_OUT, WORKER_PLAN = "crashinit_out", "crashinit_plan"
NEEDS_A_DRIVER = "scenario files need a driver: give '--crashinit-driver D', where D is 'reference' or another adapter."
LISTINGS = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan", "cacheshow")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("crashinit", "crash tests of a storage driver's initialisation")
    for name, text in OPTIONS.items():
        variable = _variable(name)
        kind: dict[str, Any] = {"action": "store_const", "const": "yes"} if name in FLAGS else {"metavar": name.upper()}
        group.addoption(f"--crashinit-{name}", default=None, help=f"{text} (or ${variable})", **kind)
        parser.addini(_variable(name).lower(), text, default="")


def _variable(name: str) -> str:
    return f"CRASHINIT_{name.upper().replace('-', '_')}"


def option(config: pytest.Config, name: str) -> str:
    """An option's value: command line, then environment, then ini file, then default."""
    given = config.getoption(f"--crashinit-{name}") or os.environ.get(_variable(name))
    return str(given or config.getini(_variable(name).lower()) or DEFAULTS[name])


def flag(config: pytest.Config, name: str) -> bool:
    """An option that is 'yes' or not."""
    return option(config, name) not in ("", "no", "0", "false")


def number(config: pytest.Config, name: str) -> int:
    """An option that is a number; raises UsageError."""
    text = option(config, name)
    if not re.fullmatch("[0-9]{1,6}", text):
        raise pytest.UsageError(f"crashinit: '--crashinit-{name}' is '{one_line(text)}', and must be a number.")
    return int(text)


def provider(config: pytest.Config) -> str:
    """The provider's name, with its machines' seed and guest; raises UsageError."""
    from crashinit.machine.guests import DEFAULT, load
    from crashinit.machine.seed import seeded, with_guest

    try:
        guest = load(option(config, "guest") or DEFAULT).source
        return with_guest(seeded(option(config, "provider"), option(config, "seed"), number(config, "seeds")), guest)
    except CrashinitError as error:
        raise pytest.UsageError(f"crashinit: {error}") from error


def pytest_configure(config: pytest.Config) -> None:
    # Registered late, so that its `host` stands before the one of testinfra's own plugin.
    config.pluginmanager.register(fixtures, "crashinit-fixtures")
    if option(config, "driver") and not config.option.help:
        campaign = Campaign(config)
        config.pluginmanager.register(campaign, "crashinit-campaign")
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
            terminalreporter.write_line(f"crashinit: the report is {_shown(self.out) / 'report.html'}")
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


class ScenarioFile(pytest.File):
    """One scenario file; its tests are the trials that the plan holds for it."""

    def collect(self) -> Iterable[pytest.Item]:
        from crashinit.scenario.scenario import load

        campaign = self.config.pluginmanager.get_plugin("crashinit-campaign")
        assert isinstance(campaign, Campaign)
        name = load(self.path).name
        if campaign.lists:
            yield Unplanned.from_parent(self, name=name)
            return
        for trial in campaign.prepared.trials:
            if trial.scenario == name:
                yield TrialItem.from_parent(self, name=trial.id, trial=trial, campaign=campaign)


class Unplanned(pytest.Item):
    """What stands for a scenario's trials in a listing; it is never run."""

    def runtest(self) -> None:
        raise NotImplementedError


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
        from crashinit.campaign import campaign
        from crashinit.campaign.tries import HowOften

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

        again = replay(self.result, _shown(self.campaign.out))
        often = [f"  {said}" for said in (how_often([self.result]),) if said]
        lines = [f"{self.result.outcome}: {self.result.reason}", *often, *failed, f"again: {again}"]
        return "\n".join(map(printable, lines))

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return self.path, None, self.name


def _lists(config: pytest.Config) -> bool:
    """Whether pytest is only to tell what there is: then no machine is booted, and nothing is written."""
    return any(getattr(config.option, name, False) for name in LISTINGS)


def _shown(path: Path) -> Path:
    """A path as people have it: relative, if it lies below the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


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
