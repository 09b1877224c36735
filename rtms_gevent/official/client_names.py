"""What the official SDK calls things on a client: camelCase, and a few methods of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

import gevent

from .._alias import Alias

__all__ = ["OfficialNames", "receive_webhooks_with"]

_Handler = TypeVar("_Handler", bound=Callable[..., object])

#: Seconds for which the official SDK's ``poll()`` waits where nothing has arrived.
_POLL = 0.01

_receive_webhooks: Callable[..., Any]


def receive_webhooks_with(function: Callable[..., Any]) -> None:
    """Set what a client's ``on_webhook_event`` calls: webhooks are of a layer above."""
    global _receive_webhooks
    _receive_webhooks = function


class OfficialNames:
    """Base of :class:`~rtms_gevent.Client`; has no state and no behaviour of its own to speak of.

    Source of the names: the official Python package ``rtms`` 1.1.0.
    """

    onJoinConfirm = Alias("on_join_confirm")
    onLeave = Alias("on_leave")
    onAudioData = Alias("on_audio_data")
    onVideoData = Alias("on_video_data")
    onDeskshareData = Alias("on_deskshare_data")
    onTranscriptData = Alias("on_transcript_data")
    onChatData = Alias("on_chat_data")
    onSessionUpdate = Alias("on_session_update")
    onUserUpdate = Alias("on_user_update")
    onParticipantEvent = Alias("on_participant_event")
    onActiveSpeakerEvent = Alias("on_active_speaker_event")
    onSharingEvent = Alias("on_sharing_event")
    onMediaConnectionInterrupted = Alias("on_media_connection_interrupted")
    onParticipantVideo = Alias("on_participant_video")
    onVideoSubscribed = Alias("on_video_subscribed")
    onEventEx = Alias("on_event_ex")
    enableAudio = Alias("enable_audio")
    enableVideo = Alias("enable_video")
    enableDeskshare = Alias("enable_deskshare")
    enableTranscript = Alias("enable_transcript")
    enableChat = Alias("enable_chat")
    setAudioParams = Alias("set_audio_params")
    setVideoParams = Alias("set_video_params")
    setDeskshareParams = Alias("set_deskshare_params")
    setTranscriptParams = Alias("set_transcript_params")
    setProxy = Alias("set_proxy")
    subscribeEvent = Alias("subscribe_event")
    unsubscribeEvent = Alias("unsubscribe_event")
    subscribeVideo = Alias("subscribe_video")
    streamId = Alias("stream_id")
    release = Alias("leave")

    def poll(self) -> None:
        """Let the streams of this thread live for 10 ms; blocks this greenlet only.

        Nothing needs it: ``run()`` and every cooperative wait do the same. It is here for programs
        that poll the official SDK in a loop of their own.
        """
        gevent.sleep(_POLL)

    @overload
    def on_webhook_event(
        self, callback: _Handler, port: int | None = None, path: str | None = None
    ) -> _Handler: ...
    @overload
    def on_webhook_event(
        self, callback: None = None, port: int | None = None, path: str | None = None
    ) -> Callable[[_Handler], _Handler]: ...
    def on_webhook_event(
        self,
        callback: Callable[..., object] | None = None,
        port: int | None = None,
        path: str | None = None,
    ) -> Any:
        """Do what :func:`rtms_gevent.on_webhook_event` does; arguments and errors are as there.

        The server belongs to the process, whichever client was asked: ``leave()`` does not stop it,
        so that the webhook that starts the next stream arrives.
        """
        return _receive_webhooks(callback, port, path)
