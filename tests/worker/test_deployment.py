"""examples/deployment: its files can be read, and what they run works, behind the real nginx."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import sys
import tempfile

import pytest
import trustme
import yaml
from support.rawserver import unused_port
from support.recorder import wait_until

from rtms_gevent.cli import main
from rtms_gevent.simulator import Simulator

from .command import Command

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples" / "deployment"
UNITS = ("shop-web", "shop-worker")
ENVIRONMENT = {
    "ZM_RTMS_CLIENT": "simulated-client",
    "ZM_RTMS_SECRET": "simulated-secret",
    "ZM_RTMS_WEBHOOK_SECRET": "hook",
    "ZM_RTMS_ALLOWED_HOSTS": "127.0.0.1",
    "PYTHONUNBUFFERED": "1",
}
#: What the units run, where it is installed here.
PROGRAMS = {
    "/srv/shop/venv/bin/gunicorn": [sys.executable, "-m", "gunicorn"],
    "/srv/shop/venv/bin/rtms-gevent": [sys.executable, "-m", "rtms_gevent.cli"],
}

needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")


def settings_of(unit):
    """Return the settings of a unit; commented ones, too."""
    text = (EXAMPLES / f"{unit}.service").read_text()
    return re.findall(r"^(#?\w+)=(.*)$", text, re.MULTILINE)


def command_of(unit):
    program, *arguments = shlex.split(dict(settings_of(unit))["ExecStart"])
    return [*PROGRAMS[program], *arguments]


def environment_of(unit, directory):
    """Return what a unit sets, with the line that is commented out, and with another directory."""
    lines = [value for key, value in settings_of(unit) if key.lstrip("#") == "Environment"]
    values = dict(line.split("=", 1) for line in lines)
    assert values["RTMS_STORE"] == "local:///run/shop"
    return {**ENVIRONMENT, **values, "RTMS_STORE": f"local://{directory}"}


# -- the files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS)
def test_units_leave_time_to_end(unit):
    settings = dict(settings_of(unit))
    assert settings["Type"] == "notify"
    assert settings["KillMode"] == "mixed"
    assert int(settings["TimeoutStopSec"]) > 30  # graceful_timeout, and --graceful-timeout
    assert "graceful_timeout = 30\n" in (EXAMPLES / "gunicorn.conf.py").read_text()


def test_the_containers_are_described_as_compose_wants_it(monkeypatch):
    services = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())["services"]
    assert set(services) == {"redis", "web", "worker", "nginx"}
    web, worker = services["web"], services["worker"]
    assert web["environment"].pop("RTMS_MAX_STREAMS") == "0"
    assert web["environment"] == worker["environment"]
    for service in (web, worker):
        assert (EXAMPLES / service["env_file"]).exists()
        assert (EXAMPLES / service["build"]["context"] / service["build"]["dockerfile"]).exists()
    # The command takes these arguments.
    called = []
    monkeypatch.setattr("rtms_gevent.worker.command.run", lambda given: called.append(given) or 0)
    assert main(worker["command"][1:]) == 0
    assert (called[0].app, called[0].processes) == ("app:create_app()", 2)


@needs_nginx
def test_nginx_takes_its_site(tmp_path):
    certificate = trustme.CA().issue_cert("shop.example.com")
    certificate.private_key_pem.write_to_path(tmp_path / "privkey.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "fullchain.pem")
    site = (EXAMPLES / "nginx.conf").read_text().replace("/etc/ssl/shop", str(tmp_path))
    with contextlib.ExitStack() as stack:
        nginx = stack.enter_context(Nginx(tmp_path, site, "-t"))
        assert nginx.wait_ended() == 0, nginx.log


# -- what they run ---------------------------------------------------------------------------------


class Nginx(Command):
    """nginx in the foreground, with a site."""

    def __init__(self, directory, site, *options):
        (directory / "site.conf").write_text(site)
        (directory / "nginx.conf").write_text(
            f"daemon off; pid {directory}/nginx.pid; error_log stderr;\n"
            "events {}\n"
            f"http {{ access_log off; include {directory}/site.conf; "
            + "".join(
                f"{kind}_temp_path {directory}/{kind}; "
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            + "}\n"
        )
        super().__init__(
            ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf"), *options],
            directory,
            directory / "nginx.log",
        )


@needs_nginx
def test_streams_live_in_the_worker_and_survive_what_befalls_it(tmp_path):
    port, behind = unused_port(), unused_port()
    site = (EXAMPLES / "nginx.conf").read_text().replace("127.0.0.1:8000", f"127.0.0.1:{behind}")
    site = site.replace("443 ssl", f"127.0.0.1:{port}")  # Zoom's TLS is not what is tested here
    site = re.sub(r"ssl_certificate.*;", "", site)
    with (
        tempfile.TemporaryDirectory() as shared,  # sockets have short names
        Nginx(tmp_path, site),
        Command(
            [*command_of("shop-web"), "--bind", f"127.0.0.1:{behind}", "--workers", "2"],
            EXAMPLES,
            tmp_path / "web.log",
            **environment_of("shop-web", shared),
        ) as web,
        Command(
            command_of("shop-worker"),
            EXAMPLES,
            tmp_path / "worker.log",
            **environment_of("shop-worker", shared),
        ) as worker,
        Simulator(
            "empty",
            client_secret="simulated-secret",
            webhook_url=f"http://127.0.0.1:{port}/rtms/webhook",
            webhook_secret="hook",
        ) as simulator,
    ):
        first, second = worker.wait_told(r"(\d+) takes streams", 2)
        web.wait_told("Booting worker", 2)
        meetings = [simulator.meeting, simulator.add_meeting(), simulator.add_meeting()]
        for meeting in meetings:
            assert wait_until(meeting.start, 20) == 200
        hear(worker, meetings, "Good morning")
        assert all(len(meeting.connections("all_sockets")) == 2 for meeting in meetings)

        web.send(signal.SIGHUP)
        web.wait_told("Booting worker", 4)
        hear(worker, meetings, "after a deploy of the web servers")
        assert not worker.told("is taken over")

        os.kill(int(first), signal.SIGKILL)
        of_first = worker.told(rf"{first} stream '(\w+)' is claimed")
        for stream_id in of_first:
            worker.wait_told(rf"{second} stream '{stream_id}' is taken over")
        hear(worker, meetings, "after the death of a process")

        worker.wait_told(r"takes streams", 3)
        worker.send(signal.SIGHUP)
        worker.wait_told(rf"process {second} has ended \(exit code 0\)")
        hear(worker, meetings, "after a reload")

        meetings[0].stop(6)
        worker.send(signal.SIGTERM)
        assert worker.wait_ended() == 0
        assert not re.search("is claimed|is taken over|Traceback", web.log)
        assert "Traceback" not in worker.log


def hear(worker, meetings, text):
    """Let somebody speak in each meeting until that is heard."""
    for meeting in meetings:
        line = f"{meeting.stream_id} Ana: {text}\n"

        def is_heard(meeting=meeting, line=line):
            return meeting.send_transcript(text, 5, "Ana") and line in worker.log

        wait_until(is_heard, 20)
