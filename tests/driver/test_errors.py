"""thindriver.errors: what a failure says."""

import errno
import os

import pytest
from thindriver.errors import DriverError, cause, doing


def test_a_failure_names_the_file_that_it_is_about() -> None:
    """A call that fails on a file which the sentence does not name yet is told with that file: it is what failed."""
    with (
        pytest.raises(DriverError, match=r"cannot look up the device 'pool': '/dev/none': No such file or directory"),
        doing("look up the device 'pool'"),
    ):
        os.open("/dev/none", os.O_RDWR)


def test_a_failure_names_a_file_once() -> None:
    """A file that the sentence names is not named again."""
    error = OSError(errno.EIO, "", "/dev/loop0")

    assert cause(error, "open '/dev/loop0'") == "Input/output error"
