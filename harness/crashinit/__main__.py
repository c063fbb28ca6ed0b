"""`python3 -m crashinit`: the command `crashinit`."""

import sys

from crashinit.cli import main

sys.exit(main())
