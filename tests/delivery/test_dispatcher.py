"""All inboxes of one stream: what is held, what is counted, and the end. No socket."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event
from support.delivery import BackPressureLog, make_selector, packets
from support.recorder import wait_until

from rtms_gevent import Client, Inboxes, InboxLimits, MediaDataType, OverflowPolicy, signals
from rtms_gevent.delivery.callbacks import Callbacks
from rtms_gevent.delivery.dispatcher import Dispatcher
from rtms_gevent.protocol.events import ClientEvent
from rtms_gevent.stream.leave_reason import LeaveReason

AUDIO, VIDEO, CHAT = MediaDataType.AUDIO, MediaDataType.VIDEO, MediaDataType.CHAT
JOINED = ClientEvent("joined", ("stream", "uuid"))
LEFT = ClientEvent("left", ("stream", LeaveReason.left()))


@pytest.fixture
def make_dispatcher():
    made = []

    def make(*, sender=None, back_pressure=None, inboxes=None, **functions):
        callbacks = Callbacks()
        callbacks.functions.update(functions)
        made.append(
            Dispatcher(
                sender,
                callbacks,
                make_selector(),
                stream="test",
                inboxes=inboxes or Inboxes(),
                back_pressure=back_pressure or BackPressureLog(),
            )
        )
        return made[-1]

    yield make
    for dispatcher in made:
        dispatcher.close()


def put(dispatcher, kind, sent):
    dispatcher.inbox(kind).put(sent, sum(len(packet.data) for packet in sent))


def test_media_waits_for_the_callback_for_having_joined(make_dispatcher):
    go, log = Event(), []

    def confirm(reason):
        log.append("joined")
        go.wait()

    dispatcher = make_dispatcher(
        join_confirm=confirm,
        audio_data=lambda *_: log.append("audio"),
        video_data=lambda *_: log.append("video"),
    )
    put(dispatcher, AUDIO, packets(1))
    dispatcher.drain()  # waits for nothing that is held
    assert log == []
    dispatcher.put(JOINED)
    wait_until(lambda: log == ["joined", "audio"])  # though the callback waits
    put(dispatcher, VIDEO, packets(1))
    wait_until(lambda: log == ["joined", "audio", "video"])
    go.set()
    dispatcher.drain()


def test_what_became_of_the_packets(make_dispatcher, caplog):
    def function(data, *_):
        if data == b"4":
            raise ValueError

    dispatcher = make_dispatcher(audio_data=function, inboxes=Inboxes(audio=InboxLimits(packets=3)))
    assert (dispatcher.delivered(AUDIO), dispatcher.failed(AUDIO)) == (0, 0)
    assert dispatcher.dropped(AUDIO) == {}
    put(dispatcher, AUDIO, packets(5))
    dispatcher.put(JOINED)
    dispatcher.drain()
    assert (dispatcher.delivered(AUDIO), dispatcher.failed(AUDIO)) == (2, 1)
    assert dispatcher.dropped(AUDIO) == {"inbox": 2}
    assert dispatcher.callback_errors == {"audio_data": 1}
    assert dispatcher.dropped(CHAT) == {}


def test_each_inbox_has_its_limits_and_its_back_pressure(make_dispatcher):
    log = BackPressureLog()
    few = InboxLimits(packets=1, when_full=OverflowPolicy.BLOCK)
    dispatcher = make_dispatcher(back_pressure=log, inboxes=Inboxes(chat=few, video=few))
    for kind in (AUDIO, VIDEO, CHAT):
        put(dispatcher, kind, packets(2))
    assert log.calls == [("pause", VIDEO), ("pause", CHAT)]
    dispatcher.put(JOINED)
    dispatcher.drain()
    assert sorted(log.calls[2:]) == sorted([("resume", VIDEO), ("resume", CHAT)])


def test_nothing_is_delivered_once_closed(make_dispatcher):
    got = []
    dispatcher = make_dispatcher(audio_data=lambda *_: got.append(1), chat_data=got.append)
    dispatcher.put(JOINED)
    dispatcher.drain()
    dispatcher.close()
    assert dispatcher.is_closed
    put(dispatcher, AUDIO, packets(1))  # in an inbox that is made only now
    dispatcher.put(ClientEvent("media_gap", (None,)))
    dispatcher.drain()
    gevent.sleep(0.01)
    assert got == []
    assert dispatcher.dropped(AUDIO) == {"inbox": 1}


def test_signals_can_be_sent_at_once_though_closed(make_dispatcher):
    client, heard = Client(), []

    def receive(sender, gap, **_):
        heard.append(gap)

    dispatcher = make_dispatcher(sender=client, media_gap=lambda gap: heard.append("called"))
    dispatcher.close()
    with signals.media_gap.connected_to(receive, sender=client):
        dispatcher.send_signal(ClientEvent("media_gap", ("gap",)))
    assert heard == ["gap"]


class TestTheEnd:
    def test_it_comes_after_all_that_runs(self, make_dispatcher):
        go, entered, log = Event(), Event(), []

        def wait(*_):
            entered.set()
            go.wait()
            log.append("audio")

        dispatcher = make_dispatcher(audio_data=wait, end=lambda reason: log.append("end"))
        dispatcher.put(JOINED)
        put(dispatcher, AUDIO, packets(1))
        assert entered.wait(5)
        dispatcher.close()
        dispatcher.finish(LEFT, lambda: log.append("done"))
        dispatcher.wait_finished()  # for a moment only
        assert log == []
        go.set()
        wait_until(lambda: log == ["audio", "end", "done"])

    def test_who_leaves_waits_for_it(self, make_dispatcher):
        log = []

        def end(reason):
            gevent.sleep(0.01)
            log.append(reason)

        dispatcher = make_dispatcher(end=end)
        dispatcher.close()
        dispatcher.finish(LEFT, lambda: None)
        dispatcher.wait_finished()
        assert log == [LEFT.arguments[1]]

    @pytest.mark.parametrize("where", ["audio_data", "join_confirm", "end"])
    def test_nobody_waits_for_himself(self, where, make_dispatcher):
        seen = []

        def function(*_):
            seen.append(dispatcher.is_delivering)
            dispatcher.wait_finished()

        dispatcher = make_dispatcher(**{where: function})
        assert not dispatcher.is_delivering
        dispatcher.put(JOINED)
        put(dispatcher, AUDIO, packets(1))
        dispatcher.drain()
        dispatcher.close()
        dispatcher.finish(LEFT, lambda: None)
        dispatcher.wait_finished()
        assert seen == [True]

    def test_a_child_process_says_nothing(self, make_dispatcher):
        log = []
        dispatcher = make_dispatcher(end=log.append)
        dispatcher.finish(LEFT, lambda: log.append("done"))
        dispatcher.forget(is_here=False)
        wait_until(lambda: log == ["done"])
