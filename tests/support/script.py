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
            stdin=subprocess.PIPE,
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

    def finish(self, text=None, *, code=0):
        """Send ``text``, wait for the end, and return the lines that are left."""
        with gevent.Timeout(20):
            out, self.err = self.process.communicate(text)
        assert code is None or self.process.returncode == code, self.err
        assert "Traceback" not in self.err, self.err
        return out.split("\n")
