"""What is asked of Zoom for what the user has registered."""

import pytest

from rtms_gevent.enums import Codec, EventType, MediaDataType
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.protocol.params import AudioParams, DeskshareParams, TranscriptParams, VideoParams
from rtms_gevent.protocol.subscription import PARAMS, Subscription

AUDIO, VIDEO, DESKSHARE = MediaDataType.AUDIO, MediaDataType.VIDEO, MediaDataType.DESKSHARE
TRANSCRIPT, CHAT = MediaDataType.TRANSCRIPT, MediaDataType.CHAT


@pytest.fixture
def subscription():
    return Subscription()


def test_nothing_is_wanted_at_first(subscription):
    assert subscription.media == ()
    assert subscription.events_to_subscribe == ()
    assert subscription.video_user_id is None
    subscription.check()


def test_media_come_in_a_fixed_order(subscription):
    for kind in (CHAT, AUDIO, TRANSCRIPT, DESKSHARE, VIDEO):
        subscription.enable(kind, True)
    assert subscription.media == (AUDIO, VIDEO, DESKSHARE, TRANSCRIPT, CHAT)
    subscription.enable(VIDEO, False)
    assert subscription.media == (AUDIO, DESKSHARE, TRANSCRIPT, CHAT)
    subscription.enable(VIDEO, True)
    subscription.enable(VIDEO, True)
    assert subscription.media == (AUDIO, VIDEO, DESKSHARE, TRANSCRIPT, CHAT)


@pytest.mark.parametrize(
    ("events", "events_to_subscribe"),
    [
        ({EventType.PARTICIPANT_LEAVE, EventType.ACTIVE_SPEAKER_CHANGE}, (2, 4)),
        ({EventType.FIRST_PACKET_TIMESTAMP}, ()),
        ({EventType.MEDIA_CONNECTION_INTERRUPTED, EventType.SHARING_START}, (5,)),
        ({1, 7, 99, -1}, (-1, 99)),
    ],
)
def test_events_that_zoom_sends_unasked_are_not_subscribed(
    subscription, events, events_to_subscribe
):
    subscription.events |= events
    assert subscription.events_to_subscribe == events_to_subscribe


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (AUDIO, AudioParams()),
        (VIDEO, VideoParams()),
        (DESKSHARE, DeskshareParams()),
        (TRANSCRIPT, None),
        (CHAT, None),
    ],
)
def test_defaults_are_sent_where_zooms_differ(subscription, kind, sent):
    assert subscription.params_for(kind) == sent


@pytest.mark.parametrize("kind", PARAMS)
def test_what_was_chosen_is_sent(subscription, kind):
    subscription.params[kind] = chosen = PARAMS[kind]()
    assert subscription.params_for(kind) is chosen


def test_only_wanted_media_are_checked(subscription):
    subscription.params[VIDEO] = VideoParams(codec=Codec.JPG)
    subscription.params[TRANSCRIPT] = TranscriptParams()
    subscription.enable(AUDIO, True)
    subscription.enable(TRANSCRIPT, True)
    subscription.enable(CHAT, True)
    subscription.check()
    subscription.enable(VIDEO, True)
    with pytest.raises(ConfigurationError, match="VideoParams.fps cannot be 30 with JPG"):
        subscription.check()
