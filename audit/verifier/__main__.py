"""``python -m audit.verifier`` is ``consentry-verify``."""

import sys

from audit.verifier.command import main

sys.exit(main())
