"""`python3 -m crashinit.cli`."""

import sys

from crashinit.cli import main

sys.exit(main())
