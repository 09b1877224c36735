"""By hand: ``cd tests && python -m soak --streams 50 --minutes 10 --seeds 10``."""

from __future__ import annotations

import argparse
import sys

from .chaos import QUICK, REAL, Run, quiet_logs


def main():
    """Play chaos from several seeds; return 0 if every message is accounted for."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--streams", type=int, default=50, help="at a time (%(default)s)")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each run (%(default)s)")
    parser.add_argument("--seeds", type=int, default=10, help="how many runs (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--quick", action="store_true", help="with the short timeouts of CI")
    arguments = parser.parse_args()
    pace = QUICK if arguments.quick else REAL
    found = 0
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        run = Run(
            seed=seed,
            streams=arguments.streams,
            duration=arguments.minutes * 60 * pace.speed,
            pace=pace,
        )
        with quiet_logs():
            run.play()
        sys.stdout.write(run.summary + "\n")
        for problem in run.problems:
            sys.stdout.write(f"  {problem}\n")
        sys.stdout.flush()
        found += len(run.problems)
    return 1 if found else 0


sys.exit(main())
