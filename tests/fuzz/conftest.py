from __future__ import annotations

import importlib.util

# There are wheels for some machines only; everything else here runs without it.
collect_ignore = [] if importlib.util.find_spec("atheris") else ["test_atheris.py"]
