from __future__ import annotations

import os

# The suite needs Python 2.7; .ci/autobahn installs it where there is one, and prints the path.
collect_ignore = [] if os.environ.get("RTMS_AUTOBAHN") else ["test_autobahn.py"]
