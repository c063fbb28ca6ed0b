"""`python3 -m thindriver`."""

import sys

from .cli import main

sys.exit(main())
