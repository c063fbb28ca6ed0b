"""`python3 -m crashinit.cli`, which is `python3 -m crashinit`."""

import crashinit.__main__  # noqa: F401
