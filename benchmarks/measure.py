"""One measurement: a load generator and a contender, side by side."""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import trustme

from .contender import Contender
from .contenders.task import LateStreams, Task
from .environments import ROOT
from .machine import Noise
from .workload import Workload

__all__ = ["MeasurementFailed", "Result", "measure", "run_script"]

Result = dict[str, Any]

#: Seconds that joining, starting and ending may take together.
_RESULT_TIMEOUT = 60.0


class MeasurementFailed(Exception):
    """A contender crashed, hung, or said nothing."""


def measure(
    contender: Contender,
    workload: Workload,
    *,
    late: int = 0,
    late_after: float = 0.0,
    profile: str = "",
) -> Result:
    """Return what the contender reported.

    What the load generator reported is under "load"; "noise_percent" is what other processes took
    meanwhile, in percent of a core.

    Args:
        contender: What to measure.
        workload: What it is sent.
        late: Streams to join at once while those of the workload run, from another generator.
        late_after: Seconds into the time that counts.
        profile: File for cProfile to write, if any.

    Raises:
        MeasurementFailed: there is no result.
    """
    noise = Noise()
    with contextlib.ExitStack() as stack:
        ca, certificate = _certificates() if workload.tls else ("", "")
        load, url = stack.enter_context(_load(workload, certificate))
        late_streams = None
        if late:
            silent = Workload("silent", streams=late, tls=workload.tls)
            _, late_url = stack.enter_context(_load(silent, certificate))
            late_streams = LateStreams(late_url, late, late_after)
        task = Task(url, workload, ca, late_streams, contender.options)
        timeout = workload.warm_up + workload.seconds + _RESULT_TIMEOUT
        result = run_script(contender, task.to_json(), timeout, profile=profile)
        result["load"] = _read_line(load)
    return {**result, "noise_percent": noise.percent()}


def run_script(
    contender: Contender, argument: str, timeout: float = _RESULT_TIMEOUT, *, profile: str = ""
) -> Result:
    """Run a contender's script, and return the JSON that it printed.

    Raises:
        MeasurementFailed: it printed none.
    """
    profiler = ["-m", "cProfile", "-o", str(pathlib.Path(profile).resolve())] if profile else []
    script = ["-m", f"benchmarks.contenders.{contender.script}", argument]
    command = [str(contender.python()), *profiler, *script]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:  # some write logs
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=_environment(),
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise MeasurementFailed(f"{contender.name}: no result in {timeout:.0f} s") from None
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    last = (done.stderr.strip().splitlines() or ["no output"])[-1]
    raise MeasurementFailed(f"{contender.name}: exit status {done.returncode}: {last}")


@contextlib.contextmanager
def _load(workload: Workload, certificate: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a load generator; yield it with its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load", workload.to_json(), certificate],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    try:
        yield process, _read_line(process)["url"]
    finally:
        process.kill()
        process.communicate()


def _read_line(load: subprocess.Popen[str]) -> Result:
    assert load.stdout is not None
    line = load.stdout.readline()
    if not line:
        raise MeasurementFailed("the load generator crashed")
    return json.loads(line)


def _environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@functools.cache
def _certificates() -> tuple[str, str]:
    """Make an authority and a certificate for localhost; return the files' names.

    They are valid for a day, and the folder goes with this process.
    """
    folder = pathlib.Path(_folder().name)
    authority = trustme.CA()
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    certificate = authority.issue_cert("localhost", not_after=tomorrow)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return str(folder / "ca.pem"), str(folder / "server.pem")


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="benchmark-certificates-")
