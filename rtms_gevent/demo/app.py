"""The app that ``rtms-gevent demo`` serves: the Flask extension and the live page, no more.

Credentials, webhook secret and allowed hosts come from the environment, as ``ZM_RTMS_*``. For an
app to start a project from, see ``examples/flask_app``.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, redirect, url_for
from werkzeug import Response

from ..enums import AudioChannel, AudioSampleRate, Codec, ContentType, DataOption, EventType
from ..flask import RTMS
from ..live.page import LivePage
from ..protocol.params import AudioParams, DeskshareParams, VideoParams
from .latency import Probe

__all__ = ["create_app"]

#: Level meters need plain samples, per participant; a browser shows JPG.
_AUDIO = AudioParams(
    content_type=ContentType.RAW_AUDIO,
    codec=Codec.L16,
    sample_rate=AudioSampleRate.SR_16K,
    channel=AudioChannel.MONO,
    data_opt=DataOption.AUDIO_MULTI_STREAMS,
    duration=20,
    frame_size=320,
)
_VIDEO = VideoParams(codec=Codec.JPG, fps=5)
_DESKSHARE = DeskshareParams(codec=Codec.JPG, fps=1)

_EVENTS = (
    EventType.ACTIVE_SPEAKER_CHANGE,
    EventType.PARTICIPANT_JOIN,
    EventType.PARTICIPANT_LEAVE,
    EventType.SHARING_START,
    EventType.SHARING_STOP,
    EventType.PARTICIPANT_VIDEO_ON,
    EventType.PARTICIPANT_VIDEO_OFF,
)


def create_app() -> Flask:
    """Return the app; gunicorn calls this in its worker."""
    app = Flask("rtms_gevent_demo")
    rtms = RTMS(app)
    probe = Probe()
    LivePage(app, stats=probe.report)

    @rtms.on_stream_started
    def started(client: Any, event: Any) -> None:
        client.set_audio_params(_AUDIO)
        client.set_video_params(_VIDEO)
        client.set_deskshare_params(_DESKSHARE)
        client.subscribe_event(_EVENTS)
        probe.attach(client, event.stream_id)

    @app.get("/")
    def home() -> Response:
        return redirect(url_for("rtms_live.page"))

    @app.get("/healthz")
    def health() -> str:
        return "ok"

    return app
