import pytest

from rtms_gevent.enums import Codec, DataOption, EventType, MediaDataType
from rtms_gevent.errors import ConfigurationError
from rtms_gevent.protocol.params import AudioParams, DeskshareParams, TranscriptParams, VideoParams
from rtms_gevent.protocol.subscription import PARAMS, Wishes

AUDIO, VIDEO, DESKSHARE = MediaDataType.AUDIO, MediaDataType.VIDEO, MediaDataType.DESKSHARE
TRANSCRIPT, CHAT = MediaDataType.TRANSCRIPT, MediaDataType.CHAT


@pytest.fixture
def wishes():
    return Wishes()


def test_nothing_is_wanted_at_first(wishes):
    assert wishes.media == ()
    assert wishes.subscribable == ()
    assert wishes.video_of is None
    assert wishes.wants_individual_video is False
    wishes.check()


def test_media_come_in_a_fixed_order(wishes):
    for kind in (CHAT, AUDIO, TRANSCRIPT, DESKSHARE, VIDEO):
        wishes.want_media(kind, True)
    assert wishes.media == (AUDIO, VIDEO, DESKSHARE, TRANSCRIPT, CHAT)
    wishes.want_media(VIDEO, False)
    assert wishes.media == (AUDIO, DESKSHARE, TRANSCRIPT, CHAT)
    wishes.want_media(VIDEO, True)
    wishes.want_media(VIDEO, True)
    assert wishes.media == (AUDIO, VIDEO, DESKSHARE, TRANSCRIPT, CHAT)


@pytest.mark.parametrize(
    ("events", "subscribable"),
    [
        ({EventType.PARTICIPANT_LEAVE, EventType.ACTIVE_SPEAKER_CHANGE}, (2, 4)),
        ({EventType.FIRST_PACKET_TIMESTAMP}, ()),
        ({EventType.MEDIA_CONNECTION_INTERRUPTED, EventType.SHARING_START}, (5,)),
        ({1, 7, 99, -1}, (-1, 99)),
    ],
)
def test_events_that_zoom_sends_unasked_are_not_subscribed(wishes, events, subscribable):
    wishes.events |= events
    assert wishes.subscribable == subscribable


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
def test_defaults_are_sent_where_zooms_differ(wishes, kind, sent):
    assert wishes.params_for(kind) == sent


@pytest.mark.parametrize("kind", PARAMS)
def test_what_was_chosen_is_sent(wishes, kind):
    wishes.params[kind] = chosen = PARAMS[kind]()
    assert wishes.params_for(kind) is chosen


@pytest.mark.parametrize(
    ("option", "individual"),
    [
        (DataOption.VIDEO_SINGLE_ACTIVE_STREAM, False),
        (DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM, True),
        (DataOption.VIDEO_MIXED_GALLERY_VIEW, False),
    ],
)
def test_individual_video(wishes, option, individual):
    wishes.params[VIDEO] = VideoParams(data_opt=option)
    assert wishes.wants_individual_video is individual


def test_only_wanted_media_are_checked(wishes):
    wishes.params[VIDEO] = VideoParams(codec=Codec.JPG)
    wishes.params[TRANSCRIPT] = TranscriptParams()
    wishes.want_media(AUDIO, True)
    wishes.want_media(TRANSCRIPT, True)
    wishes.want_media(CHAT, True)
    wishes.check()
    wishes.want_media(VIDEO, True)
    with pytest.raises(ConfigurationError, match="VideoParams.fps cannot be 30 with JPG"):
        wishes.check()
