"""What type checkers know of callbacks. Checked by mypy, never run."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

from rtms_gevent import (
    Client,
    ConnectionLost,
    Gap,
    GaveUp,
    LeaveReason,
    Metadata,
    Participant,
    Session,
)

client = Client()

# The parameters of lambdas are known.

for media in (
    client.on_audio_data,
    client.on_video_data,
    client.on_deskshare_data,
    client.on_transcript_data,
    client.on_chat_data,
):
    media(
        lambda data, size, timestamp, metadata: (
            assert_type(data, bytes),
            assert_type(size, int),
            assert_type(timestamp, int),
            assert_type(metadata, Metadata),
        )
    )
client.on_join_confirm(lambda reason: assert_type(reason, int))
client.on_leave(lambda reason: assert_type(reason, int))
client.on_end(lambda reason: assert_type(reason, LeaveReason))
client.on_session_update(
    lambda op, session: (assert_type(op, int), assert_type(session, Session)),
)
client.on_user_update(
    lambda op, participant: (assert_type(op, int), assert_type(participant, Participant))
)
client.on_participant_event(
    lambda event, timestamp, participants: (
        assert_type(event, str),
        assert_type(timestamp, int),
        assert_type(participants, list[dict[str, Any]]),
    )
)
client.on_active_speaker_event(
    lambda timestamp, user_id, user_name: (
        assert_type(timestamp, int),
        assert_type(user_id, int),
        assert_type(user_name, str),
    )
)
client.on_sharing_event(
    lambda event, timestamp, user_id, user_name: (
        assert_type(event, str),
        assert_type(timestamp, int),
        assert_type(user_id, int | None),
        assert_type(user_name, str | None),
    )
)
client.on_media_connection_interrupted(lambda timestamp: assert_type(timestamp, int))
client.on_participant_video(
    lambda user_ids, is_on: (assert_type(user_ids, list[int]), assert_type(is_on, bool))
)
client.on_video_subscribed(
    lambda user_id, status, error: (
        assert_type(user_id, int),
        assert_type(status, int),
        assert_type(error, str),
    )
)
client.on_event_ex(lambda event: assert_type(event, str))
client.on_interrupted(
    lambda what, error: (assert_type(what, str), assert_type(error, ConnectionLost | None))
)
client.on_reconnecting(
    lambda attempt, delay: (assert_type(attempt, int), assert_type(delay, int)),
)
client.on_reconnected(lambda outage: assert_type(outage, int))
client.on_gave_up(lambda error: assert_type(error, GaveUp))
client.on_media_gap(lambda gap: assert_type(gap, Gap))

# A decorated function can be called as before, and returns what it returned.


@client.on_audio_data
def count(data: bytes, size: int, timestamp: int, metadata: Metadata) -> int:
    return size


@client.on_event_ex
async def write(event: str) -> str:
    return event


assert_type(count(b"", 0, 0, Metadata()), int)


async def main() -> None:
    assert_type(await write("{}"), str)


# What can be called otherwise, too, is taken.


class Recorder:
    def keep(self, *arguments: object) -> None: ...

    def leave(self, reason: int, why: str = "") -> None: ...


client.on_audio_data(Recorder().keep)
client.on_leave(Recorder().leave)
client.on_leave(print)

# What cannot be called so is an error.


def too_few(data: bytes, size: int) -> None: ...


def of_text(data: str, size: int, timestamp: int, metadata: Metadata) -> None: ...


client.on_audio_data(too_few)  # type: ignore[arg-type]
client.on_audio_data(of_text)  # type: ignore[arg-type]
client.on_audio_data(None)  # type: ignore[arg-type]
client.on_audio_data(lambda data: data)  # type: ignore[arg-type, misc]
client.on_event_ex(lambda event: event.decode())  # type: ignore[attr-defined]
