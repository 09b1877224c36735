"""Runs Autobahn's fuzzing server, and our client through each of its cases."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from pathlib import Path

import gevent
import trustme
from gevent import socket, ssl, subprocess
from gevent.pool import Pool

from rtms_gevent.errors import ConnectionLost
from rtms_gevent.protocol.urls import parse_server_urls
from rtms_gevent.runtime.deadline import Deadline
from rtms_gevent.transport.connect import open_connection, tls_context
from rtms_gevent.transport.frames import TEXT, ReceivedMessage
from rtms_gevent.transport.websocket import CloseInfo, WebSocket

from .strict_text import StrictTextReader

AGENT = "rtms_gevent"
#: Compression, which we never offer.
EXCLUDED = ["12.*", "13.*"]
#: Bytes: the largest message of the suite has 16 MB.
LIMIT = 64 * 1024 * 1024
#: Seconds for one case: those of section 9 measure throughput, and chop megabytes into bytes.
CASE_TIMEOUT = 100
#: Cases at a time. Many of them only wait for a second or two.
AT_ONCE = 8


class Peer:
    """Our end of one connection to the fuzzing server; echoes, and keeps the last text."""

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        endpoints = parse_server_urls(url, ["localhost"])
        self.text = ""
        self.end: CloseInfo | None = None
        self.socket = WebSocket(
            open_connection(endpoints, deadline=Deadline(10), context=context),
            name="conformance",
            on_messages=self._echo,
            on_closed=self._ended,
            max_message_size=LIMIT,
            reader_type=StrictTextReader,
        )

    def _echo(self, messages: Iterator[ReceivedMessage]) -> None:
        for opcode, buffer, start, stop in messages:
            message: str | bytes = bytes(buffer[start:stop])
            if opcode == TEXT:
                self.text = message = buffer[start:stop].decode()
            with contextlib.suppress(ConnectionLost):  # it may end at any time
                self.socket.send(message)

    def _ended(self, closed: CloseInfo) -> None:
        self.end = closed

    def wait(self) -> str:
        """Wait for the end of the connection; return the last text that came."""
        if not self.socket.closed.wait(CASE_TIMEOUT):
            self.socket.abort("the case takes too long")
        return self.text


class Server:
    """A fuzzing server that runs."""

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        self._connect = functools.partial(Peer, context=context)
        self._url = url

    def ask(self, resource: str) -> str:
        """Connect to a resource of the server, and return the last text it says."""
        return self._connect(f"{self._url}/{resource}").wait()

    def run_cases(self) -> int:
        """Run all cases; return how many there are."""
        count = int(self.ask("getCaseCount"))
        heavy, light = [], []
        for number in range(1, count + 1):
            name = json.loads(self.ask(f"getCaseInfo?case={number}"))["id"]
            (heavy if name.startswith("9.") else light).append(number)
        Pool(AT_ONCE).map(self._run_case, light)
        # These keep a processor busy: one by one, so that none is late because of another.
        for number in heavy:
            self._run_case(number)
        self.ask(f"updateReports?agent={AGENT}")
        return count

    def _run_case(self, number: int) -> None:
        self.ask(f"runCase?case={number}&agent={AGENT}")


@contextlib.contextmanager
def fuzzing_server(
    wstest: str, folder: Path, cases: list[str], *, tls: bool = False
) -> Iterator[Server]:
    """Run Autobahn's fuzzing server.

    Args:
        wstest: Path of the suite's command.
        folder: Where it writes its report and its log.
        cases: Which cases to offer, such as ``6.*``.
        tls: Whether to speak over TLS.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:  # the suite cannot choose a port by itself
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"{'wss' if tls else 'ws'}://localhost:{port}"
    settings = {"url": url, "outdir": str(folder), "cases": cases, "exclude-cases": EXCLUDED}
    settings["exclude-agent-cases"] = {}
    context = None
    if tls:
        settings["key"], settings["cert"], ca = _make_certificate(folder)
        context = tls_context(ca)
    spec, log = folder / "spec.json", folder / "server.log"
    spec.write_text(json.dumps(settings))
    command = [wstest, "--mode", "fuzzingserver", "--spec", str(spec), "--webport", "0"]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=folder, stdout=output, stderr=output) as process,
    ):
        try:
            _wait_until_it_listens(port, process, log)
            yield Server(url, context)
        finally:
            process.terminate()


def _make_certificate(folder: Path) -> tuple[str, str, str]:
    """Return the paths of a key, its certificate, and who has signed that."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    paths = tuple(str(folder / f"{name}.pem") for name in ("key", "certificate", "ca"))
    certificate.private_key_pem.write_to_path(paths[0])
    certificate.cert_chain_pems[0].write_to_path(paths[1])
    authority.cert_pem.write_to_path(paths[2])
    return paths


def _wait_until_it_listens(port: int, process: subprocess.Popen, log: Path) -> None:
    with gevent.Timeout(30):
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                gevent.sleep(0.05)
            else:
                return
    raise RuntimeError(f"the fuzzing server has ended:\n{log.read_text()}")
