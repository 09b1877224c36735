"""Let the tests import ``benchmarks``, which is not part of what is installed."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))
