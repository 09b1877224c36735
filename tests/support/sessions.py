"""A stream's session without TCP and without waiting: Zoom in memory, and a clock of its own."""

from __future__ import annotations

import base64
import json

import gevent
import pytest
from gevent.event import Event

from rtms_gevent.config import Inboxes, Limits, Reconnect, Timeouts
from rtms_gevent.delivery.callbacks import PARAMETERS, Callbacks
from rtms_gevent.delivery.dispatcher import Dispatcher
from rtms_gevent.delivery.runner_selector import RunnerSelector
from rtms_gevent.enums import MediaDataType, Product
from rtms_gevent.protocol.identity import StreamIdentity
from rtms_gevent.protocol.subscription import Subscription
from rtms_gevent.protocol.urls import parse_server_urls
from rtms_gevent.runtime.hub_context import current_context
from rtms_gevent.stream.connection import ConnectOptions
from rtms_gevent.stream.join_request import JoinRequest
from rtms_gevent.stream.session import StreamSession
from rtms_gevent.transport.memory import MemoryTransport
from support.clock import VirtualClock, settle

T = 1_738_392_000_000
#: Without the differences that chance makes.
STEADY = Reconnect(base_delay=1.0, max_delay=10.0)
HOSTS = ("zoom",)
_NUMBERS = {MediaDataType.AUDIO: 14, MediaDataType.VIDEO: 15, MediaDataType.TRANSCRIPT: 17}


def endpoints(text="ws://zoom:1/signaling"):
    return parse_server_urls(text, HOSTS)


class Zoom:
    """The other end of a stream's sockets: accepts all of them, unless a test says otherwise."""

    def __init__(self, clock):
        self.clock = clock
        self.live = {}  #: socket -> its peer, while it is open
        self.handshakes = []  #: (second, socket) of each
        self.received = []  #: (socket, message) of all else
        #: By socket: the statuses of the answers to its next handshakes; None stands for silence.
        self.answers = {}
        self.closes = True  #: whether close frames are answered
        self.freed = Event()  #: lets those be answered that were not

    def __call__(self, peer):
        request = json.loads(peer.receive())
        self.handshakes.append((self.clock.now - 1000, peer.name))
        answers = self.answers.get(peer.name)
        status = answers.pop(0) if answers else 0
        if status is not None:
            peer.send_json(self.answer(request["msg_type"], status))
        self.live[peer.name] = peer
        try:
            while True:
                self.received.append((peer.name, json.loads(peer.receive())))
        finally:
            if self.live.get(peer.name) is peer:
                del self.live[peer.name]
            if not self.closes:
                self.freed.wait()
            peer.close()

    def answer(self, number, status):
        if number == 1:
            urls = {kind: f"ws://zoom:2/{kind}" for kind in ("audio", "video", "transcript")}
            return {"msg_type": 2, "status_code": status, "media_server": {"server_urls": urls}}
        params = {"audio": {"send_rate": 20}}
        return {"msg_type": 4, "status_code": status, "media_params": params}

    def reset(self, *names):
        """Break connections; all, if none is named."""
        for name in names or list(self.live):
            self.live.pop(name).reset()
        settle()

    def keep_alive(self):
        for peer in self.live.values():
            peer.send_json({"msg_type": 12, "timestamp": T})

    def send(self, timestamp, data=b"x", kind=MediaDataType.AUDIO, name=None):
        """Send a packet."""
        content = {"user_id": 7, "user_name": "Ana", "timestamp": timestamp}
        content["data"] = (
            data.decode() if kind is MediaDataType.TRANSCRIPT else base64.b64encode(data).decode()
        )
        peer = self.live[name or kind.name.lower()]
        peer.send_json({"msg_type": _NUMBERS[kind], "content": content})
        settle()

    def say(self, document, name="signaling"):
        self.live[name].send_json(document)
        settle()

    def stop(self, reason=6):
        self.say({"msg_type": 8, "state": 4, "reason": reason, "timestamp": T})

    def interrupt(self, *, event=True, state=False):
        """Say that media is interrupted, in one way or both."""
        if event:
            self.say({"msg_type": 6, "event": {"event_type": 7, "timestamp": T}})
        if state:
            self.say({"msg_type": 8, "state": 2, "reason": 14, "timestamp": T})


class Stage:
    """A session, the Zoom that it talks to, and all that it has told."""

    def __init__(
        self, *kinds, reconnect=STEADY, timeouts=None, urls="ws://zoom:1/signaling", earlier=None
    ):
        self.clock = VirtualClock()
        self.zoom = Zoom(self.clock)
        self.transport = MemoryTransport(self.zoom, self.clock)
        self.calls = []
        self.subscription = Subscription()
        for kind in kinds or (MediaDataType.AUDIO,):
            self.subscription.enable(kind, True)
        callbacks = Callbacks()
        for name in PARAMETERS:
            callbacks.set(name, self._keeper(name, len(PARAMETERS[name])))
        runners = RunnerSelector(current_context(), None)

        def make_dispatcher(back_pressure):
            self.back_pressure = back_pressure
            self.dispatcher = Dispatcher(
                self,
                callbacks,
                runners,
                stream="stream",
                inboxes=Inboxes(),
                back_pressure=back_pressure,
            )
            return self.dispatcher

        request = JoinRequest(
            identity=StreamIdentity(Product.MEETING, "uuid", "stream", "meeting_uuid"),
            endpoints=endpoints(urls),
            signature="",
            options=ConnectOptions(timeouts or Timeouts(), Limits(), reconnect),
            transport=self.transport,
            allowed_hosts=HOSTS,
            timeout=60.0,
            earlier=earlier,
        )
        self.session = StreamSession(request, self.subscription, make_dispatcher, self.clock)

    def _keeper(self, name, count):
        def keep(*arguments):
            assert len(arguments) == count
            self.calls.append((name, arguments))

        return keep

    def of(self, name):
        return [arguments for called, arguments in self.calls if called == name]

    def join(self):
        self.session.start()
        settle()
        settle()
        assert self.session.is_joined
        return self

    def leave(self):
        """Leave, however long Zoom takes to answer; and what is running meanwhile ends."""
        leaving = gevent.spawn(self.session.leave)
        self.clock.advance(60)
        leaving.get(timeout=1)

    def run(self, seconds, keep_alive=5.0):
        """Let time pass in which Zoom's open connections send nothing but keep-alives."""
        while seconds > 0:
            step = min(seconds, keep_alive)
            self.clock.advance(step)
            self.zoom.keep_alive()
            settle()
            seconds -= step

    def stats(self, kind=MediaDataType.AUDIO):
        return self.session.stats().media[kind.name.lower()]


@pytest.fixture
def make_stage():
    """Make stages whose sessions have ended when the test has."""
    made = []

    def make(*kinds, **options):
        stage = Stage(*kinds, **options)
        made.append(stage)
        return stage

    yield make
    for stage in made:
        stage.leave()
        stage.zoom.freed.set()
