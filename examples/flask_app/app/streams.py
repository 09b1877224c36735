"""What to do with a meeting: choose its media, and write down what is said."""

from __future__ import annotations

from flask import current_app

from rtms_gevent import (
    AudioChannel,
    AudioParams,
    AudioSampleRate,
    Client,
    Codec,
    DataOption,
    DeskshareParams,
    EventType,
    LeaveReason,
    Metadata,
    VideoParams,
    WebhookEvent,
)
from rtms_gevent.flask import RTMS

rtms = RTMS()


@rtms.on_stream_started
def started(client: Client, event: WebhookEvent) -> None:
    """Register callbacks. The extension joins afterwards.

    It is called in one of the workers; and in another one, where the first ends before the meeting.
    """
    minutes = current_app.extensions["minutes"]
    minutes.begin(event.stream_id)

    @client.on_transcript_data
    def write_down(data: bytes, size: int, timestamp: int, metadata: Metadata) -> None:
        minutes.add(event.stream_id, metadata.userName, data.decode(), timestamp)

    show_live(client)


@rtms.on_stream_ended
def ended(client: Client, reason: LeaveReason) -> None:
    """Close the minutes, unless another worker goes on with them."""
    if not reason.is_handover:
        current_app.extensions["minutes"].end(client.stream_id())
    current_app.logger.info("stream %s is over: %s", client.stream_id(), reason)


def show_live(client: Client) -> None:
    """Ask for what the live page shows, in a form that it can show."""
    client.set_audio_params(
        AudioParams(
            codec=Codec.L16,
            sample_rate=AudioSampleRate.SR_16K,
            channel=AudioChannel.MONO,
            data_opt=DataOption.AUDIO_MULTI_STREAMS,
        )
    )
    client.set_video_params(VideoParams(codec=Codec.JPG, fps=5))
    client.set_deskshare_params(DeskshareParams(codec=Codec.JPG, fps=1))
    client.enable_audio()
    client.enable_video()
    client.enable_deskshare()
    client.enable_chat()
    client.subscribe_event(
        [
            EventType.ACTIVE_SPEAKER_CHANGE,
            EventType.PARTICIPANT_JOIN,
            EventType.PARTICIPANT_LEAVE,
            EventType.SHARING_START,
            EventType.SHARING_STOP,
            EventType.PARTICIPANT_VIDEO_ON,
            EventType.PARTICIPANT_VIDEO_OFF,
        ]
    )
