"""`python -m ablasim`."""

import sys

from ablasim.cli import main

sys.exit(main())
