"""How a command ends on a mistake: one sentence on standard error, and a status."""

import sys
from typing import NoReturn


def fail(error: object, status: int = 1) -> NoReturn:
    print(error, file=sys.stderr)
    sys.exit(status)
