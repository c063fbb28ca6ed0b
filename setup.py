"""What pyproject.toml cannot say: the scenarios, which stand at the top of the checkout, go into the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithScenarios(build_py):
    """Copies the one tree of scenarios to where the installed package looks for it (crashinit/scenario/scenario.py)."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable install reads the checkout's own
            target = Path(self.build_lib, "crashinit", "scenarios")
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree("scenarios", target, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithScenarios})
