"""Virtual environments for what is compared, made when they are first needed, and kept."""

from __future__ import annotations

import pathlib
import subprocess
import sys

__all__ = ["CACHE", "ROOT", "EnvironmentProblem", "python_with"]

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = ROOT / "build" / "benchmarks"


class EnvironmentProblem(Exception):
    """Something cannot be installed here."""


def python_with(requirement: str) -> pathlib.Path:
    """Return a Python that has ``requirement``; it has an environment of its own.

    Raises:
        EnvironmentProblem: it cannot be installed.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = CACHE / f"venv-{requirement.replace('==', '-')}-py{version}"
    python = folder / "bin" / "python"
    done = folder / "installed"  # has which Python it was made with: builds differ in speed
    if not done.exists() or done.read_text() != sys.base_prefix:
        print(f"Installing {requirement} into {folder.relative_to(ROOT)} ...", file=sys.stderr)
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", "--only-binary=:all:", requirement)
        done.write_text(sys.base_prefix)
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise EnvironmentProblem(errors[-1] if errors else done.stderr.strip()[-200:])
