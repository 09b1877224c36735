"""Runs a plain Python script in a process of its own, watched without blocking our hub."""

from __future__ import annotations

import json
import os
import sys
import textwrap

import gevent
from gevent import subprocess


class Script:
    """A script, and what it prints."""

    def __init__(self, code, *arguments, **environment):
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    @classmethod
    def joining(cls, simulator, code, **environment):
        """Start a script that joins: its arguments are the payload and the credentials."""
        payload = json.dumps(simulator.meeting.payload)
        return cls(code, payload, simulator.client_id, simulator.client_secret, **environment)

    def line(self):
        with gevent.Timeout(20):
            return self.process.stdout.readline().strip()

    def finish(self):
        with gevent.Timeout(20):
            out, err = self.process.communicate()
        assert self.process.returncode == 0, err
        assert "Traceback" not in err, err
        return out.split("\n")
