"""Plays a scenario to one client, from its beginning."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from gevent.event import Event
from gevent.pool import Group

from ...enums import DataOption, MediaDataType, Product, SessionState
from ..clock import milliseconds
from ..scenario.assets import mix, silence
from ..scenario.model import Person, Step
from ..scenario.schema import FAULTS
from . import events
from .meeting import Meeting

__all__ = ["Player"]

logger = logging.getLogger(__name__)

#: Ticks of a media type that nobody receives at the moment, in scenario milliseconds.
IDLE_TICK = 20
#: Real seconds that the greenlets have to finish what they are sending.
STOP_TIMEOUT = 2.0


class _Speech:
    """A recording that somebody speaks. It begins with the first tick of audio that sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.began: int | None = None  #: scenario milliseconds


class _Pictures:
    """A loop of frames; each codec has a position of its own in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.position: dict[int, int] = {}


class Player:
    """Plays the meeting's scenario in four greenlets: timeline, audio, video and deskshare.

    Each keeps absolute deadlines on one clock, so that nothing drifts, and catches up where the
    process was busy. Nothing that is shown on the timeline is skipped.
    """

    def __init__(self, meeting: Meeting, speed: float) -> None:
        self._meeting = meeting
        self._scenario = meeting.scenario
        self._state = meeting.state
        self._speed = speed
        self._is_engagement = meeting.product is Product.CONTACT_CENTER
        self._over = Event()
        self._greenlets = Group()
        self._origin = 0.0  # monotonic seconds
        self._origin_ms = 0  # since the epoch
        self._muted: set[int] = set()
        self._speeches: dict[int, _Speech] = {}
        self._cameras: dict[int, _Pictures] = {}
        self._slide: _Pictures | None = None

    def start(self) -> None:
        """Begin."""
        self._origin = time.monotonic()
        self._origin_ms = milliseconds()
        if not self._scenario.steps and self._scenario.duration is None:
            return  # nothing will ever happen
        for run in (self._play_timeline, self._play_audio, self._play_video, self._play_share):
            self._greenlets.spawn(self._guard, run)

    def stop(self) -> None:
        """End, without a message to the client; messages that are being sent are completed."""
        self._over.set()
        self._greenlets.join(STOP_TIMEOUT)
        self._greenlets.kill()

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception:
            logger.exception("scenario %s broke off in %s", self._scenario.name, run.__name__)

    # -- time --------------------------------------------------------------------------------------

    def _sleep_until(self, at: float) -> bool:
        """Wait for scenario second ``at``; return False when the play is over."""
        left = self._origin + at / self._speed - time.monotonic()
        return not self._over.wait(max(0.0, left))

    def _wall_clock(self, at: float) -> int:
        """Return the time of scenario second ``at`` as ms since the epoch."""
        return self._origin_ms + round(at / self._speed * 1000)

    @property
    def _is_paused(self) -> bool:
        return self._meeting.session_state == SessionState.PAUSED

    # -- the timeline ------------------------------------------------------------------------------

    def _play_timeline(self) -> None:
        for step in self._scenario.steps:
            if not self._sleep_until(step.at):
                return
            if step.action in FAULTS:
                self._meeting.faults.apply(step)
            else:
                self._ACTIONS[step.action](self, step)
        if self._scenario.duration is not None and self._sleep_until(self._scenario.duration):
            self._meeting.end_later(self._scenario.stop_reason)

    def _send_event(self, event: dict[str, Any], needs: MediaDataType | None = None) -> None:
        """Send what happens in a meeting, if the app may know of it.

        Args:
            event: with a number of meetings, which means something else in Contact Center.
            needs: the media type whose scope the event belongs to.
        """
        if self._is_engagement or (needs is not None and needs not in self._meeting.offered):
            return
        self._meeting.send_event(event)

    def _join(self, step: Step) -> None:
        people: tuple[Person, ...] = step.fields["who"]
        for person in people:
            if step.fields.get("muted", False):
                self._muted.add(person.user_id)
            self._state.present[person.user_id] = person
        self._send_event(events.joined(*people))
        if self._is_engagement:
            for person in people:
                self._meeting.send_event(events.answered(person, self._scenario.first_person))

    def _leave(self, step: Step) -> None:
        people: tuple[Person, ...] = step.fields["who"]
        self._switch_off(people)
        for person in people:
            self._state.present.pop(person.user_id, None)
            self._speeches.pop(person.user_id, None)
            self._muted.discard(person.user_id)
            if self._state.sharer == person:
                self._share_stop(step)
            if self._state.speaker == person:
                self._state.speaker = None
        self._send_event(events.left(*people))
        if self._is_engagement:
            for person in people:
                self._meeting.send_event(events.hung_up(person, self._scenario.first_person))

    def _mute(self, step: Step) -> None:
        self._muted.update(person.user_id for person in step.fields["who"])

    def _unmute(self, step: Step) -> None:
        self._muted.difference_update(person.user_id for person in step.fields["who"])

    def _speak(self, step: Step) -> None:
        person: Person = step.fields["who"]
        self._speeches[person.user_id] = _Speech(step.fields["audio"])
        if self._state.speaker != person:
            self._state.speaker = person
            self._send_event(events.speaks(person))

    def _transcript(self, step: Step) -> None:
        person, fields = step.fields["who"], step.fields
        self._meeting.send_transcript(
            fields["text"],
            person.user_id,
            start_time=self._wall_clock(fields.get("from", step.at)),
            end_time=self._wall_clock(fields.get("to", step.at)),
            language=fields.get("language", 9),
            attribute=fields.get("attribute"),
        )

    def _camera_on(self, step: Step) -> None:
        person: Person = step.fields["who"]
        self._cameras[person.user_id] = _Pictures(step.fields["video"])
        self._state.cameras.add(person.user_id)
        self._send_event(events.camera(True, person.user_id), MediaDataType.VIDEO)

    def _camera_off(self, step: Step) -> None:
        self._switch_off(step.fields["who"])

    def _switch_off(self, people: tuple[Person, ...]) -> None:
        for person in people:
            if self._cameras.pop(person.user_id, None) is not None:
                self._state.cameras.discard(person.user_id)
                self._send_event(events.camera(False, person.user_id), MediaDataType.VIDEO)

    def _share(self, step: Step) -> None:
        person: Person = step.fields["who"]
        self._slide = _Pictures(step.fields["image"])
        if self._state.sharer != person:
            self._state.sharer = person
            self._send_event(events.shares(person), MediaDataType.DESKSHARE)

    def _share_stop(self, step: Step) -> None:
        self._slide = None
        if self._state.sharer is not None:
            self._state.sharer = None
            self._send_event(events.stopped_sharing(), MediaDataType.DESKSHARE)

    def _chat(self, step: Step) -> None:
        person: Person = step.fields["who"]
        self._meeting.send_chat(
            step.fields["text"], person.user_id, **step.fields.get("fields", {})
        )

    def _event(self, step: Step) -> None:
        self._meeting.send_event(step.fields["event"])

    def _session(self, step: Step) -> None:
        self._meeting.set_session_state(step.fields["state"], step.fields.get("reason"))

    def _stream(self, step: Step) -> None:
        self._meeting.set_stream_state(step.fields["state"], step.fields.get("reason", 0))

    def _stop(self, step: Step) -> None:
        self._meeting.end_later(step.fields.get("reason", self._scenario.stop_reason))

    _ACTIONS: Mapping[str, Callable[[Player, Step], None]] = {
        "join": _join,
        "leave": _leave,
        "mute": _mute,
        "unmute": _unmute,
        "speak": _speak,
        "transcript": _transcript,
        "camera_on": _camera_on,
        "camera_off": _camera_off,
        "share": _share,
        "share_stop": _share_stop,
        "chat": _chat,
        "event": _event,
        "session": _session,
        "stream": _stream,
        "stop": _stop,
    }

    # -- audio -------------------------------------------------------------------------------------

    def _play_audio(self) -> None:
        now = 0  # scenario milliseconds
        while self._sleep_until(now / 1000):
            params = self._params(MediaDataType.AUDIO)
            if params is not None and not self._is_paused:
                self._send_voices(now, params)
            now += IDLE_TICK if params is None else params["send_rate"]

    def _send_voices(self, now: int, params: dict[str, Any]) -> None:
        voices: dict[int, bytes] = {}
        # When it was spoken, not when it is sent, which is later where the process is busy.
        timestamp = self._wall_clock(now / 1000)
        silent = silence(params)
        for user_id in list(self._state.present):
            packet = self._packet(user_id, now, params)
            if user_id not in self._muted:
                voices[user_id] = packet or silent
        if params["data_opt"] == DataOption.AUDIO_MIXED_STREAM:
            if voices:
                speaking = [packet for packet in voices.values() if packet != silent]
                packet = mix(speaking or [silent], params)
                self._meeting.send_audio(packet, 0, timestamp=timestamp)
            return
        for user_id, packet in voices.items():
            self._meeting.send_audio(packet, user_id, timestamp=timestamp)

    def _packet(self, user_id: int, now: int, params: dict[str, Any]) -> bytes | None:
        """Return what is heard of somebody in this tick; None where they say nothing."""
        speech = self._speeches.get(user_id)
        if speech is None:
            return None
        if speech.began is None:
            speech.began = now
        packets = self._scenario.library.speech(speech.name, params)
        index = int((now - speech.began) // params["send_rate"])
        if index < len(packets):
            return packets[index]
        if self._speeches.get(user_id) is speech:
            del self._speeches[user_id]
        return None

    # -- pictures ----------------------------------------------------------------------------------

    def _play_video(self) -> None:
        self._play_pictures(MediaDataType.VIDEO, self._next_camera, self._meeting.send_video)

    def _play_share(self) -> None:
        self._play_pictures(MediaDataType.DESKSHARE, self._next_slide, self._meeting.send_deskshare)

    def _play_pictures(
        self,
        kind: MediaDataType,
        choose: Callable[[], tuple[int, _Pictures] | None],
        send: Callable[..., bool],
    ) -> None:
        now = 0.0  # scenario seconds
        while self._sleep_until(now):
            params = self._params(kind)
            chosen = None if params is None or self._is_paused else choose()
            if params is None or chosen is None:
                now += IDLE_TICK / 1000  # look again soon: a camera may have been switched on
                continue
            user_id, pictures = chosen
            frame = self._frame(pictures, params["codec"])
            if frame is not None:
                send(frame, user_id, timestamp=self._wall_clock(now))
            now += 1 / params["fps"]

    def _next_camera(self) -> tuple[int, _Pictures] | None:
        """Return the speaker's camera, or the one that was asked for; None where that is off."""
        signaling = self._meeting.signaling
        params = self._params(MediaDataType.VIDEO)
        if params is None:
            return None
        if params["data_opt"] == DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM:
            user_id = None if signaling is None else signaling.video_user_id
        else:
            user_id = self._state.speaker.user_id if self._state.speaker is not None else None
            if user_id not in self._cameras:
                # Who speaks has no camera: somebody who has one is shown instead.
                user_id = next(iter(self._cameras), None)
        if user_id is None or user_id not in self._cameras:
            return None
        return user_id, self._cameras[user_id]

    def _next_slide(self) -> tuple[int, _Pictures] | None:
        if self._slide is None or self._state.sharer is None:
            return None
        return self._state.sharer.user_id, self._slide

    def _frame(self, pictures: _Pictures, codec: int) -> bytes | None:
        frames = self._scenario.library.pictures(pictures.name, codec)
        if not frames:
            return None
        position = pictures.position.get(codec, 0)
        pictures.position[codec] = position + 1
        frame = frames[position % len(frames)]
        return frame

    def _params(self, kind: MediaDataType) -> dict[str, Any] | None:
        """Return what was negotiated for ``kind``; None where nobody has asked for it.

        A meeting goes on while a socket is broken, so that what is missed then has numbers.
        """
        return self._meeting.queues[kind].params
