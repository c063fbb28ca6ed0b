# The same targets serve people and CI. Everything lands in .venv and in $CRASHINIT_CACHE (default ~/.cache/crashinit).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# A test waits as often as it computes: half as many again keep the cores at work.
TEST_WORKERS ?= 3
OUT ?= reports/steps

.PHONY: run test thorough docs beyond conditions conformance mutants alarms cluster observer lint bench profile vagrant setup clean
.DEFAULT_GOAL := help

help:
	@echo 'make run     set up all that is missing, then the five-step campaign on the reference driver'
	@echo 'make test    set up all that is missing, then the tests; of those that take minutes, the part of the day'
	@echo 'make thorough  every test at once, about 40 minutes'
	@echo 'make conditions  scenarios in Python: busy, lost, damaged, full, foreign, two inits at once'
	@echo 'make beyond DRIVER=D  signals, one child, somebody else, late udev; what is scarce around an init; 20 crashes in a row'
	@echo 'make conformance DRIVER=D OUT=DIR  a report of a driver, to publish'
	@echo 'make mutants every mutant of the reference driver, and the mutation score; every bug of the small drivers'
	@echo 'make alarms  COUNT inits and COUNT re-inits without faults, beside LOAD busy loops a core: no clause may fail;'
	@echo '             SEEDS=K: in virtual time, over K seeds, each of which must show the same each time'
	@echo 'make cluster  all five steps on three hosts in network namespaces, one of which dies, against one host'
	@echo 'make observer  an init of each driver under the gate and under strace: they must see the same'
	@echo 'make lint    ruff, mypy --strict, and the order of the rooms (import-linter)'
	@echo 'make docs    the site of the documentation, into site/; a broken link ends it'
	@echo 'make bench   clone against cold boot, a trial on a cluster, what the harness costs beside the driver, the same crash made by other means'
	@echo 'make profile where the seconds of one trial go, on the host and in the guest'
	@echo 'make vagrant the same trials under Vagrant and under QEMU, compared; only some with SAMPLE=words as for -k'
	@echo 'make clean   remove .venv; the cache stays (crashinit keeps it small)'

$(BIN)/.installed: pyproject.toml
	./tools/host-packages.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup: $(BIN)/.installed
	@./tools/host-packages.sh

run: setup
	$(BIN)/crashinit run scenarios/steps --driver reference -n $(WORKERS) --out $(OUT) --force

# A conformance report of DRIVER into OUT: all faults, then what wedges the driver once more in machines booted for it:
# COLD says which of that, in the words of -k.
COLD ?= steps or power
# SELECT: which trials of all, likewise; a start of a daemon takes seconds, and its report says what was left out.
SELECT ?= steps or conformance
conformance: setup
	$(BIN)/crashinit run scenarios/steps scenarios/conformance --driver $(DRIVER) -k '$(SELECT)' -n $(WORKERS) --out $(OUT) --force || test $$? -eq 1
	rm -rf $(OUT)/cold
	-$(BIN)/crashinit replay $(OUT)/plan.json --failed --clause C01 -k '$(COLD)' --provider qemu-cold -n $(WORKERS) --out $(OUT)/cold
	$(BIN)/crashinit report $(OUT) --readme

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

test: lint
	./tools/packages.sh chromium fonts-dejavu-core
	$(BIN)/pytest -n $(TEST_WORKERS) --dist loadgroup

thorough: lint
	./tools/packages.sh chromium fonts-dejavu-core
	$(BIN)/pytest -n $(TEST_WORKERS) --dist loadgroup --all-turns

beyond: setup
	$(BIN)/crashinit run scenarios/beyond scenarios/surroundings scenarios/repeat --driver $(DRIVER) -n $(WORKERS) --out reports/beyond --force

conditions: setup
	$(BIN)/pytest scenarios/conditions --crashinit-driver reference --crashinit-out reports/conditions -n $(WORKERS)

mutants: setup
	$(BIN)/pytest tests/mutants tests/families/test_broken.py tests/scenario/test_without_its_bug.py --all-turns -n $(WORKERS)

# COUNT inits and COUNT re-inits; LOAD: busy loops a core beside them; SEEDS: in virtual time, over so many seeds.
COUNT ?= 30
LOAD ?= 0
SEEDS ?= 0
alarms: setup
	$(BIN)/pytest tests/test_mask.py --alarms $(COUNT) --alarms-load $(LOAD) --alarms-seeds $(SEEDS) -n $(WORKERS)

cluster: setup
	CRASHINIT_TEST_SELECT=steps $(BIN)/pytest tests/cluster

observer: setup
	$(BIN)/pytest tests/observer --observe-all

bench: setup
	$(BIN)/python -m benchmarks

profile: setup
	$(BIN)/python -m benchmarks.profile

# SAMPLE: which trials of the five steps, in the words of -k; empty: all of them.
vagrant: setup
	./tools/vagrant-packages.sh
	SAMPLE='$(SAMPLE)' WORKERS=$(WORKERS) ./tools/vagrant-all.sh

clean:
	rm -rf $(VENV)
