"""The command line, in a process of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import sys

import gevent
import pytest
from gevent import subprocess
from gevent.event import AsyncResult
from gevent.pywsgi import WSGIServer
from support.recorder import wait_until

from rtms_gevent import cli

from .raw import BINARY, TEXT, RawSocket


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "rtms_gevent.cli", "simulate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process, number=signal.SIGTERM):
    process.send_signal(number)
    with gevent.Timeout(20):
        output, errors = process.communicate()
    return process.returncode, output, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_simulate_prints_one_line_plays_and_ends_on_a_signal(number):
    process = start("--scenario", "empty", "--client-id", "me", "--client-secret", "s3cret")
    with gevent.Timeout(20):
        ready = json.loads(process.stdout.readline())
    assert set(ready) == {
        "signaling_url", "meeting_uuid", "rtms_stream_id", "client_id", "client_secret",
        "webhook_secret",
    }  # fmt: skip
    assert (ready["client_id"], ready["client_secret"]) == ("me", "s3cret")
    with RawSocket(ready["signaling_url"]) as socket:
        text = f"me,{ready['meeting_uuid']},{ready['rtms_stream_id']}"
        socket.send(
            {
                "msg_type": 1,
                "meeting_uuid": ready["meeting_uuid"],
                "rtms_stream_id": ready["rtms_stream_id"],
                "signature": hmac.new(b"s3cret", text.encode(), hashlib.sha256).hexdigest(),
            }
        )
        assert socket.receive()["status_code"] == 0
        code, output, errors = finish(process, number)
    assert (code, output, errors) == (0, b"", b"")


def test_simulate_with_tls_and_a_webhook():
    received = AsyncResult()

    def receiver(environ, start_response):
        body = environ["wsgi.input"].read()
        received.set((environ["HTTP_X_ZM_REQUEST_TIMESTAMP"], environ["HTTP_X_ZM_SIGNATURE"], body))
        start_response("204 No Content", [])
        return []

    server = WSGIServer(("127.0.0.1", 0), receiver, log=None)
    server.start()
    process = start(
        "--scenario", "empty", "--tls", "--webhook-secret", "hook",
        "--webhook", f"http://127.0.0.1:{server.server_port}/here",
    )  # fmt: skip
    try:
        with gevent.Timeout(20):
            ready = json.loads(process.stdout.readline())
        stamp, signature, body = received.get(timeout=20)
        signed = f"v0:{stamp}:".encode() + body
        assert signature == "v0=" + hmac.new(b"hook", signed, hashlib.sha256).hexdigest()
        event = json.loads(body)
        assert event["event"] == "meeting.rtms_started"
        assert event["payload"]["server_urls"] == ready["signaling_url"]
        with RawSocket(ready["signaling_url"], ready["ca"]) as socket:
            socket.send({"msg_type": 1})
            assert socket.receive()["msg_type"] == 2
    finally:
        code, _, errors = finish(process)
        server.stop()
    assert code == 0
    assert errors.count(b"\n") == 1
    assert b"signaling handshake refused: INVALID_PAYLOAD" in errors


@pytest.mark.parametrize(
    ("option", "opcode"),
    [([], TEXT), (["--binary"], BINARY), (["--binary", "media"], TEXT)],
)
def test_simulate_in_binary_frames(option, opcode):
    process = start("--scenario", "empty", *option)
    with gevent.Timeout(20):
        ready = json.loads(process.stdout.readline())
    with RawSocket(ready["signaling_url"]) as socket:
        socket.send({"msg_type": 1})
        assert socket.frame()[0] == opcode
    assert finish(process)[0] == 0


def test_simulate_says_what_it_takes_though_it_should_not():
    process = start("--scenario", "empty", "--client-secret", "s3cret", "--lenient")
    with gevent.Timeout(20):
        ready = json.loads(process.stdout.readline())
    ids = {name: ready[name] for name in ("meeting_uuid", "rtms_stream_id")}
    text = ",".join((ready["client_id"], *ids.values()))
    ids["signature"] = hmac.new(b"s3cret", text.encode(), hashlib.sha256).hexdigest()
    with RawSocket(ready["signaling_url"]) as signaling:
        signaling.send({"msg_type": 1, **ids})
        urls = signaling.receive()["media_server"]["server_urls"]
        with RawSocket(urls["audio"]) as media:
            media.send({"msg_type": 3, "media_type": 32, **ids})
            assert media.receive()["status_code"] == 0
            code, _, errors = finish(process)
    assert code == 0
    assert b"media_type 32 (all) at the address of audio" in errors


def test_simulate_chaos_in_several_streams():
    process = start("--scenario", "chaos", "--seed", "7", "--streams", "3", "--duration", "20")
    with gevent.Timeout(20):
        ready = json.loads(process.stdout.readline())
    ids = [payload["rtms_stream_id"] for payload in ready["payloads"]]
    assert len(set(ids)) == 3
    assert ids[0] == ready["rtms_stream_id"]
    assert {payload["server_urls"] for payload in ready["payloads"]} == {ready["signaling_url"]}
    assert finish(process)[0] == 0


def test_several_streams_post_several_webhooks():
    received = []

    def receiver(environ, start_response):
        received.append(json.loads(environ["wsgi.input"].read())["payload"]["rtms_stream_id"])
        start_response("204 No Content", [])
        return []

    server = WSGIServer(("127.0.0.1", 0), receiver, log=None)
    server.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    process = start("--scenario", "empty", "--streams", "3", "--webhook", url)
    try:
        wait_until(lambda: len(received) == 3, 20)
        ready = json.loads(process.stdout.readline())
        assert {payload["rtms_stream_id"] for payload in ready["payloads"]} == set(received)
    finally:
        assert finish(process)[0] == 0
        server.stop()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--streams", "0"], "streams must be at least 1"),
        (["--duration", "0"], "duration must be more than 0"),
        (["--scenario", "chaos", "--duration", "nan"], "duration must be more than 0"),
        (["--scenario", "nope"], "no scenario 'nope'"),
        (["--speed", "0"], "speed must be"),
        (["--webhook", "ftp://x"], "webhook URL"),
        (["--client-secret", ""], "client_secret must not be empty"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
        (["--port", "70000"], "cannot listen on 127.0.0.1:70000"),
    ],
)
def test_bad_arguments_give_one_line_and_exit_code_2(capsys, arguments, problem):
    assert cli.main(["simulate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("rtms-gevent: ")
    assert problem in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["dance"], ["simulate", "--port", "x"], ["simulate", "--binary", "text"]],
)
def test_usage_errors(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: rtms-gevent" in capsys.readouterr().err


def test_help_names_every_command_and_imports_none(capsys):
    script = (
        "import sys; from rtms_gevent import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'rtms_gevent.simulator', 'rtms_gevent.demo'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert b"simulate" in done.stdout
    assert b"demo" in done.stdout


@pytest.mark.parametrize(
    ("package", "arguments"),
    [("geventwebsocket", ["simulate"]), ("trustme", ["simulate", "--tls"])],
)
def test_a_missing_package_is_named_with_the_extra_that_has_it(package, arguments):
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"from rtms_gevent import cli; sys.exit(cli.main({arguments!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"rtms-gevent[simulator]" in done.stderr
