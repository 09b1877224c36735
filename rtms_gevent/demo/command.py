"""``rtms-gevent demo``: a simulated meeting, from webhook to web page, without a Zoom account.

This process runs the simulator and starts the app of :mod:`rtms_gevent.demo.app` in a real
gunicorn beside it. What counts is printed on standard output, logs go to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import logging
import os
import secrets
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gevent
from gevent import subprocess
from gevent.event import Event

from ..errors import MissingExtra, RtmsError
from ..wsgi.listening import open_listener

if TYPE_CHECKING:
    from ..simulator import Meeting, Simulator

__all__ = ["add_arguments", "run"]

DEFAULT_PORT = 8765
#: Seconds to wait for: the app to answer, the stream to be joined, the last callbacks, the end.
READY_TIMEOUT = 30.0
JOIN_TIMEOUT = 30.0
DRAIN_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0
#: Seconds between two meetings.
PAUSE = 5.0
#: Seconds between two questions to the app.
POLL = 0.1
#: Seconds between two looks for the process that started us.
PARENT_POLL = 0.5


class DemoFailed(RtmsError):
    """The demo cannot go on; the text says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options to ``parser``."""
    parser.add_argument(
        "--port",
        type=int,
        help=f"port of the web page (default: {DEFAULT_PORT}, or a free one where it is taken)",
    )
    parser.add_argument("--once", action="store_true", help="play one meeting, then stop")
    parser.add_argument(
        "--json",
        action="store_true",
        help="with --once: print what was sent, delivered and lost as one JSON object",
    )
    parser.add_argument(
        "--scenario", default="standup", help="name or file of what happens (default: standup)"
    )
    parser.add_argument(
        "--speed", type=float, default=1.0, help="play so many times as fast (default: 1)"
    )
    parser.add_argument(
        "--end-with-parent",
        action="store_true",
        help="end when the process that started this one has ended, as tox -e demo wants it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo until it is over, or until Ctrl-C, SIGTERM or SIGHUP.

    Returns:
        The exit code: 0, or 1 where something was lost or the demo could not run.

    Raises:
        MissingExtra: a package is missing that the demo needs.
        ConfigurationError: the scenario or the speed is not allowed.
    """
    _require_packages()
    from ..simulator import Simulator

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    stop = Event()
    try:
        with _ending_signals(stop), contextlib.ExitStack() as stack:
            if arguments.end_with_parent:
                stack.enter_context(_watching_parent(stop))
            listener = stack.enter_context(_listen(arguments.port))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            simulator = Simulator(
                arguments.scenario,
                webhook_url=f"{url}/rtms/webhook",
                client_secret=secrets.token_hex(16),
                webhook_secret=secrets.token_hex(16),
                stamp=True,
                speed=arguments.speed,
            )
            stack.enter_context(simulator)
            # Started last, so that it is stopped first: it leaves while the simulator still runs.
            app = stack.enter_context(_App(listener, url, simulator))
            listener.close()
            app.wait_ready(stop)
            if arguments.once:
                return _play_once(simulator, app, stop, as_json=arguments.json)
            return _play_on(simulator, app, stop)
    except DemoFailed as failure:
        print(f"rtms-gevent demo: {failure}", file=sys.stderr)
        return 1


# -- meetings --------------------------------------------------------------------------------------


def _play_on(simulator: Simulator, app: _App, stop: Event) -> int:
    """Play one meeting after the other, until ``stop`` is set."""
    print(f"The meeting is live at {app.link}  (Ctrl-C ends it)", flush=True)
    meeting = simulator.meeting
    while not stop.is_set():
        _play(meeting, app, stop)
        stop.wait(PAUSE)
        if not stop.is_set():
            meeting = simulator.add_meeting()
    return 0


def _play_once(simulator: Simulator, app: _App, stop: Event, *, as_json: bool) -> int:
    """Play one meeting and report on it; return 0 if nothing was lost."""
    meeting = simulator.meeting
    _play(meeting, app, stop)
    if stop.is_set():
        raise DemoFailed("stopped before the meeting was over")
    report = _wait_for_report(meeting, app, stop)
    if as_json:
        print(json.dumps(report), flush=True)
    else:
        print(
            f"{sum(report['sent'].values())} messages sent, "
            f"{sum(report['delivered'].values())} delivered, {report['lost']} lost; "
            f"{report['transcript_lines']} transcript lines; from send to callback "
            f"{report['p50_ms']} ms (p50), {report['p99_ms']} ms (p99)",
            flush=True,
        )
    return 0 if report["lost"] == 0 else 1


def _play(meeting: Meeting, app: _App, stop: Event) -> None:
    """Play one meeting to its end, or until ``stop`` is set.

    Raises:
        DemoFailed: the app refused the webhook, did not join, or ended.
    """
    status = meeting.start()
    if status not in (200, 204):
        raise DemoFailed(f"the app answered the webhook with {status or 'nothing'}")
    if not meeting.wait_ready(JOIN_TIMEOUT) and not stop.is_set():
        raise DemoFailed(f"the app did not join the stream within {JOIN_TIMEOUT:g} s")
    while not (stop.is_set() or meeting.finished.is_set()):
        app.check()
        gevent.wait([stop, meeting.finished], timeout=1.0, count=1)
    meeting.stop()  # does nothing if it is over; else the app must get it before it is stopped


def _wait_for_report(meeting: Meeting, app: _App, stop: Event) -> dict[str, Any]:
    """Return what became of the meeting, once the app has done with it."""
    deadline = time.monotonic() + DRAIN_TIMEOUT
    while True:
        stats = app.stats(meeting.stream_id)
        # A client says that it left after it has delivered everything.
        if stats["state"] == "ended" or stop.is_set() or time.monotonic() > deadline:
            return _report(meeting, stats)
        stop.wait(POLL)


def _report(meeting: Meeting, stats: dict[str, Any]) -> dict[str, Any]:
    sent = {kind.name.lower(): counted.messages for kind, counted in meeting.sent.items()}
    delivered = {media: stats["delivered"][media]["messages"] for media in sent}
    # In bytes too, lest a packet that was cut short counts as delivered.
    complete = all(
        counted.bytes == stats["delivered"][kind.name.lower()]["bytes"]
        for kind, counted in meeting.sent.items()
    )
    lost = sum(max(0, sent[media] - delivered[media]) for media in sent)
    return {
        "sent": sent,
        "delivered": delivered,
        "transcript_lines": stats["transcript_lines"],
        "lost": lost if lost or complete else 1,
        "p50_ms": stats["latency_ms"]["p50"],
        "p99_ms": stats["latency_ms"]["p99"],
    }


# -- the app ---------------------------------------------------------------------------------------


class _App:
    """The demo's app in a gunicorn of its own. A context manager.

    Args:
        listener: What gunicorn shall accept connections from.
        url: The same as an address.
        simulator: Whose streams the app may join.
    """

    def __init__(self, listener: socket.socket, url: str, simulator: Simulator) -> None:
        self.url = url
        self._token = secrets.token_hex(16)
        self._process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "gunicorn"),
                *("--config", "python:rtms_gevent.demo.gunicorn_conf"),
                *("--bind", f"fd://{listener.fileno()}"),
                "rtms_gevent.demo.app:create_app()",
            ],
            # Through the environment, since everybody on this machine sees a command line.
            env={
                **os.environ,
                "ZM_RTMS_CLIENT": simulator.client_id,
                "ZM_RTMS_SECRET": simulator.client_secret,
                "ZM_RTMS_WEBHOOK_SECRET": simulator.webhook_secret,
                "ZM_RTMS_ALLOWED_HOSTS": "127.0.0.1,localhost",
                "ZM_RTMS_LIVE_TOKEN": self._token,
                "GUNICORN_CMD_ARGS": "",
            },
            stdin=subprocess.PIPE,  # closes when we are gone, and the app notices
            stdout=sys.stderr.fileno(),
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C is for us; we stop the app later
        )

    def __enter__(self) -> _App:
        return self

    def __exit__(self, *failure: object) -> None:
        self._process.send_signal(signal.SIGINT)  # a quick end: open pages would hold up SIGTERM
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        # Not before: the server would take it for a second order to end, while it ends.
        assert self._process.stdin is not None
        self._process.stdin.close()

    @property
    def link(self) -> str:
        """What opens the live page. Whoever has it sees the meeting."""
        return f"{self.url}/rtms/live/#token={self._token}"

    def check(self) -> None:
        """Raise DemoFailed if the server has ended."""
        code = self._process.poll()
        if code is not None:
            raise DemoFailed(f"gunicorn ended with code {code}; its own words are above")

    def wait_ready(self, stop: Event) -> None:
        """Wait until the app answers, or ``stop`` is set.

        Raises:
            DemoFailed: it ended, or took too long.
        """
        timeout = gevent.Timeout(READY_TIMEOUT)
        try:
            with timeout:
                while not stop.is_set():
                    self.check()
                    if self._is_ready():
                        return
                    stop.wait(POLL)
        except gevent.Timeout as expired:
            if expired is not timeout:
                raise
            raise DemoFailed(f"gunicorn did not answer within {READY_TIMEOUT:g} s") from None

    def stats(self, stream_id: str) -> dict[str, Any]:
        """Return what the live page counted of a stream.

        Raises:
            DemoFailed: the app does not answer, or does not know the stream.
        """
        try:
            streams = json.loads(self._get("/rtms/live/stats"))["streams"]
        except OSError as error:
            raise DemoFailed(f"the app does not answer: {error}") from error
        for numbers in streams:
            if numbers["stream_id"] == stream_id:
                found: dict[str, Any] = numbers
                return found
        raise DemoFailed("the app does not know the stream")

    def _is_ready(self) -> bool:
        try:
            return self._get("/healthz") == b"ok"
        except urllib.error.HTTPError as error:
            raise DemoFailed(
                f"another program answers on this port (status {error.code})"
            ) from None
        except OSError:
            return False

    def _get(self, path: str) -> bytes:
        # In a thread, since the simulator must not stand still for it.
        answer = gevent.get_hub().threadpool.apply(self._fetch, (path,))
        if isinstance(answer, OSError):
            raise answer
        return answer

    def _fetch(self, path: str) -> bytes | OSError:
        # No proxy: it is this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.addheaders = [("Authorization", f"Bearer {self._token}")]
        try:
            with opener.open(self.url + path, timeout=5.0) as answer:
                return bytes(answer.read())
        except OSError as error:
            return error  # gevent prints a traceback of whatever is raised in its threads


# -- surroundings ----------------------------------------------------------------------------------


def _require_packages() -> None:
    for package in ("flask", "geventwebsocket", "gunicorn", "packaging"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("the demo", "demo")


def _listen(port: int | None) -> contextlib.closing[socket.socket]:
    """Return a listening socket on ``port``; without one, on the usual port or a free one.

    Raises:
        DemoFailed: the port is in use.
    """
    for number in [DEFAULT_PORT, 0] if port is None else [port]:
        try:
            return contextlib.closing(open_listener("127.0.0.1", number))
        except OSError as error:
            problem = (error.strerror or str(error)).rstrip(".")
    raise DemoFailed(f"cannot listen on port {port}: {problem}. Choose another one with --port")


@contextlib.contextmanager
def _ending_signals(stop: Event) -> Iterator[None]:
    """Set ``stop`` when somebody wants an end, instead of ending at once."""
    handlers = [
        gevent.signal_handler(number, stop.set)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup means what it says
    ]
    try:
        yield
    finally:
        for handler in handlers:
            handler.cancel()


@contextlib.contextmanager
def _watching_parent(stop: Event) -> Iterator[None]:
    """Set ``stop`` when the process that started us has ended: somebody else is our parent then."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            gevent.sleep(PARENT_POLL)
        stop.set()

    watcher = gevent.spawn(watch)
    try:
        yield
    finally:
        watcher.kill()
