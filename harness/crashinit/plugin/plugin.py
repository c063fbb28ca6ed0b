"""The pytest plugin: scenario files are collected as tests, one test a trial.

    pytest scenarios --crashinit-driver reference -n 2 --junitxml junit.xml

The plan is made once, by the process that the user started: the workers of pytest-xdist read it, so that all of
them collect the same ids. Modules in plain Python get machines by the fixtures `machine`, `driver` and `host`.
"""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from crashinit.campaign.interruption import as_ctrl_c, left_to_the_owner, speak_to_nobody_if_the_terminal_is_gone
from crashinit.errors import CrashinitError, HostError, UsageError
from crashinit.model.events import Listener, Note, RunFinished, RunShortened, RunStarted, TrialFinished, TrialResult
from crashinit.plugin import fixtures
from crashinit.plugin.asked import read
from crashinit.plugin.budget import LEFT, Budget
from crashinit.plugin.items import CAMPAIGN, Exploration, ScenarioFile, TrialItem, shown
from crashinit.plugin.options import declare, flag, option, refused
from crashinit.scenario.files import below, looks_like_a_scenario
from crashinit.text.printable import one_line

if TYPE_CHECKING:
    from crashinit.scenario.scenario import Scenario

# In the workerinput of xdist: the run's directory, where the plan is, and when the run began (if it has begun).
WORKER_OUT, WORKER_PLAN, WORKER_BEGIN = "crashinit_out", "crashinit_plan", "crashinit_begin"
NEEDS_A_DRIVER = "scenario files need a driver: give '--crashinit-driver D', where D is 'reference' or another adapter."
MARKER = (
    "crashinit(step, phase, fault, victim, error, operation): what a trial is, "
    "for -m \"crashinit(step='mkfs', victim='tree')\""
)
UNKNOWN = (
    "a scenario's trials are known when an init has been recorded, which a listing does not do: run them once, "
    "or give '--crashinit-plan'."
)
LISTINGS = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan", "cacheshow")


def pytest_addoption(parser: pytest.Parser) -> None:
    declare(parser)


def pytest_configure(config: pytest.Config) -> None:
    # Registered late, so that its `host` stands before the one of testinfra's own plugin.
    config.pluginmanager.register(fixtures, "crashinit-fixtures")
    config.addinivalue_line("markers", MARKER)
    if option(config, "driver") and not config.option.help:
        try:
            campaign = Campaign(config)
        except CrashinitError as error:
            raise refused(error) from error
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
        from crashinit import adapters
        from crashinit.baseline.judgement import of_driver

        self.config = config
        self.asked = read(config)
        self.driver = adapters.load(self.asked.driver).name
        self.worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        if self.worker is not None:
            self.asked = self.asked._replace(out=Path(self.worker[WORKER_OUT]))
        self.lists = _lists(config)
        self.known = of_driver(self.asked.known or (), self.driver)
        self.results: dict[str, TrialResult] = {}  # of this process
        self.passed_over: dict[Path, str] = {}  # files that are no valid scenario and were not named, and why
        self.is_worker = self.worker is not None
        self.prepared: Any = None
        self.chosen: list[Any] = []  # the plan's trials that are collected
        self._expectations: dict[str, Any] = {}  # by scenario, what is expected of this driver
        self._narrowed = False
        self._left: list[str] = []  # trials that there was no time for
        self._said: list[str] = []  # what is said of the run in the end
        self._stack = ExitStack()
        self._runner: Any = None
        self._listen: Listener | None = None
        self._begin: float | None = None
        self._interrupted = False
        self._count = 0  # trials of this run
        self._planned: Path | None = None
        self._stack.enter_context(left_to_the_owner() if self.is_worker else as_ctrl_c())
        if self.asked.limit is not None and not self.lists:
            budget = Budget(self.asked.limit, (self.worker or {}).get(WORKER_BEGIN))
            config.pluginmanager.register(budget, "crashinit-budget")

    def close(self) -> None:
        """Let go of all: machines, the run's directory, signals."""
        self._stack.close()

    def runner(self) -> Any:
        """This process's TrialRunner, made when it is first needed."""
        from crashinit.campaign.planning import make_runner

        if self._runner is None:
            asked = self.asked
            self._runner = self._stack.enter_context(make_runner(asked.driver, asked.provider, asked.out))
        return self._runner

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        from crashinit.run import kept

        try:
            self._pass_over_others()
            if self.worker is not None:
                if self.worker.get(WORKER_PLAN):
                    self.prepared = kept.read_prepared(Path(self.worker[WORKER_PLAN]))
                    self.chosen = self.prepared.trials
            elif scenarios := self._scenarios():
                if self.lists:
                    self._look(scenarios)
                else:
                    self._plan(scenarios)
        except CrashinitError as error:
            self._stack.close()
            raise refused(error) from error

    def _plan(self, scenarios: "list[Scenario]") -> None:
        from crashinit.campaign import planning
        from crashinit.machine.provider import get_provider
        from crashinit.report.results import finished_ids
        from crashinit.run.place import claimed

        driver, provider, out, resume, force, often, *_ = self.asked
        self._stack.enter_context(claimed(out, resume=resume, force=force))
        often.require(get_provider(provider))
        if resume:
            self.prepared = planning.planned_before(scenarios, driver, out)
        else:
            self.prepared = planning.prepare(scenarios, driver, provider, out, self._note)
            self._keep(scenarios)
        self._expectations = {one.name: one.expect[self.driver] for one in scenarios if self.driver in one.expect}
        self._narrowed = any(scenario.steps for scenario in scenarios)
        self._choose(finished_ids(out) if resume else frozenset())

    def _look(self, scenarios: "list[Scenario]") -> None:
        """What a listing knows of the trials, by the plan that was made last; without one it knows none."""
        from crashinit.campaign import kept_plans, planning

        driver, provider = self.asked.driver, self.asked.provider
        self.prepared = kept_plans.recalled(scenarios, driver, provider)
        if self.prepared is None and flag(self.config, "plan"):
            with TemporaryDirectory(prefix="crashinit-plan-") as place:
                self.prepared = planning.prepare(scenarios, driver, provider, Path(place), self._note)
                self._keep(scenarios)
        if self.prepared:
            self._choose(frozenset())

    def _keep(self, scenarios: "list[Scenario]") -> None:
        from crashinit.campaign import kept_plans

        try:
            kept_plans.keep(self.prepared, scenarios, self.asked.driver, self.asked.provider)
        except HostError as error:  # listings go without it
            self._note(Note(f"the plan is not kept for listings: {error}"))

    def _choose(self, done: frozenset[str]) -> None:
        """The trials to collect: of this shard, and without a result."""
        from crashinit.campaign.shard import ELSEWHERE

        first = [trial for trial in self.prepared.trials if not trial.earlier]
        self.chosen = first
        if shard := self.asked.shard:
            self.chosen = shard.of(first, self.prepared.references)
            self.prepared.left_out.append(f"{len(first) - len(self.chosen)} of {len(first)} trials: {ELSEWHERE}")
        self.chosen = [trial for trial in self.chosen if trial.id not in done]

    def _pass_over_others(self) -> None:
        """Find the files that only look like scenarios: below a directory they stop nothing. Raises UsageError."""
        from crashinit.scenario import scenario

        named = _named(self.config)
        if self.asked.explored and named:
            raise UsageError(f"'--fault' explores instead of scenario files: leave it out, or '{shown(named[0])}'.")
        for path in _scenario_paths(self.config):
            try:
                scenario.load(path)
            except UsageError as error:
                if path in named:
                    raise
                self.passed_over[path] = str(error)

    def _scenarios(self) -> "list[Scenario]":
        """The scenarios that are tried on this driver. Raises UsageError where files are named and none of them is."""
        from crashinit.scenario import scenario
        from crashinit.scenario.concerned import concerned

        if self.asked.explored:
            return self.asked.explored
        paths = [path for path in _scenario_paths(self.config) if path not in self.passed_over]
        found = scenario.find(paths)
        if not _named(self.config) and not any(one.concerns(self.driver) for one in found):
            return []
        return concerned(found, self.driver)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[WORKER_OUT] = str(self.asked.out)
        node.workerinput[WORKER_BEGIN] = self._begin
        if self.prepared:
            # Not yet in the run's directory: which trials are selected is not known, and without any the old run stays.
            if self._planned is None:
                self._planned = Path(self._stack.enter_context(TemporaryDirectory(prefix="crashinit-plan-")))
                self.prepared.only(self.chosen).store(self._planned)
            node.workerinput[WORKER_PLAN] = str(self._planned)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if file_path.suffix != ".yaml" or file_path in self.passed_over:
            return None
        if (self.prepared or self.lists) and not self.asked.explored and _is_meant(file_path, self.config):
            return ScenarioFile.from_parent(parent, path=file_path)
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Before '-k' and '-m' choose: what is explored has no file by which pytest would come to it."""
        if self.asked.explored:
            items += Exploration.from_parent(session, name="explore", nodeid="explore").collect()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self.is_worker and not self.lists:
            self._start([item.name for item in session.items if isinstance(item, TrialItem)])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        if self._listen is None and self.prepared:
            known = {trial.id for trial in self.chosen}
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
        if left := getattr(report, LEFT, ""):
            self._left.append(left)

    def pytest_keyboard_interrupt(self) -> None:
        self._interrupted = True
        speak_to_nobody_if_the_terminal_is_gone()

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        from time import monotonic

        from crashinit.baseline.held import held
        from crashinit.campaign.limit import left_out
        from crashinit.report import read as read_run

        if not self._listen or self._begin is None or self.is_worker:
            return
        if self._left:
            said = left_out(len(self._left), self._count, self.asked.limit or 0.0)
            self._listen(RunShortened(self._left, [said]))
        self._listen(RunFinished(monotonic() - self._begin, self._interrupted))
        run = read_run(self.asked.out)
        against = held(self.asked.out, run, self.asked.known, self._expectations)
        self._said = against.sentences
        if against.wrong and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for said in self.passed_over.values():
            terminalreporter.write_line(f"crashinit: passed over: {one_line(said)}")
        for said in self._said:
            terminalreporter.write_line(f"crashinit: {one_line(said)}")
        if self._listen:
            terminalreporter.write_line(f"crashinit: the report is {shown(self.asked.out) / 'report.html'}")
        if self.lists and self.prepared is None and self._scenarios():
            terminalreporter.write_line(f"crashinit: {UNKNOWN}")

    def _start(self, trials: list[str]) -> None:
        from time import monotonic

        from crashinit.campaign.tries import time_of
        from crashinit.machine.provider import get_provider
        from crashinit.machine.seed import apart
        from crashinit.report import file_listeners

        if not trials or self.prepared is None:
            return
        asked = self.asked
        self._begin = monotonic()
        self._count = len(trials)
        if dropped := len(self.chosen) - len(trials):
            said = f"{dropped} of the plan's {len(self.prepared.trials)} trials: they were not selected"
            self.prepared.left_out.append(said)
        try:
            if not asked.resume:
                self.prepared.store(asked.out)
        except CrashinitError as error:
            raise refused(error) from error
        self._listen = file_listeners(asked.out, resume=asked.resume)
        name, guest = apart(asked.provider)
        tried = [trial for trial in self.chosen if trial.id in trials]
        self._listen(
            RunStarted(
                asked.driver,
                name,
                self.prepared.accel,
                trials,
                self.prepared.left_out,
                narrowed=self._narrowed or bool(dropped),
                time=time_of(tried, get_provider(asked.provider)),
                guest=guest,
                kernel=self.prepared.kernel,
                shard=str(asked.shard or ""),
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
