"""``python -m benchmarks.load WORKLOAD [CERTIFICATE]``: one workload, for one contender.

Prints a JSON line with its address, and one with how the sending went. Then it waits to be killed,
so that no connection ends before the contender does.
"""

from __future__ import annotations

import gc
import json
import ssl
import sys

from ..workload import Workload
from .acceptor import Acceptor
from .players import flood, pace

#: Seconds in which some stream must come nearer to being joined.
_ACCEPT_TIMEOUT = 30.0


def main() -> None:
    """Serve the workload that the command line names."""
    workload = Workload.from_json(sys.argv[1])
    context = None
    if workload.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
    acceptor = Acceptor(context)
    _print({"url": acceptor.url})
    if workload.kind == "silent":
        acceptor.serve_until(lambda: False, None)
    acceptor.serve_until(lambda: len(acceptor.ready) >= workload.streams, _ACCEPT_TIMEOUT)
    media = list(acceptor.media.values())
    for connection in (*media, *acceptor.signaling.values()):
        connection.sock.setblocking(True)
    gc.disable()  # collecting would delay messages
    if workload.kind == "flood":
        report = flood(media[0], workload)
    else:
        report = pace(media, list(acceptor.signaling.values()), workload)
    _print(report)
    sys.stdin.read()


def _print(document: dict[str, object]) -> None:
    print(json.dumps(document), flush=True)


main()
