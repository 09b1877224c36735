"""``python -m tests.conformance``: run the suite, and say what is wrong."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .suite import fuzzing_server
from .verdict import complaints, read_report, summary

ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("cases", nargs="*", default=["*"], help="such as '6.*'; all by default")
    parser.add_argument("--report", type=Path, help="a folder for Autobahn's own HTML report")
    parser.add_argument("--tls", action="store_true", help="speak over TLS")
    options = parser.parse_args()
    wstest = os.environ.get("RTMS_AUTOBAHN") or _install()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.report or Path(temporary)).resolve()
        with fuzzing_server(wstest, folder, options.cases, tls=options.tls) as server:
            count = server.run_cases()
        cases = read_report(folder)
    print(summary(cases))
    wrong = complaints(cases, count)
    print("\n".join(wrong) or f"all {count} cases passed")
    return 1 if wrong else 0


def _install() -> str:
    command = [ROOT / ".ci" / "autobahn", ROOT / ".tox" / "autobahn"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
