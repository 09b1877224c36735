"""From events to callbacks and signals, as a table. No socket."""

from __future__ import annotations

import contextlib

import gevent
import pytest
from support.delivery import PLENTY, BackPressureLog, make_invoker, make_selector

from rtms_gevent import Client, signals
from rtms_gevent.delivery.callbacks import EVENTS, PARAMETERS, Callbacks
from rtms_gevent.delivery.event_inbox import EventInbox
from rtms_gevent.delivery.invoker import CallbackInvoker
from rtms_gevent.protocol.events import ClientEvent
from rtms_gevent.runtime.greenlets import GreenletGroup
from rtms_gevent.runtime.threads import HubThread
from rtms_gevent.stream.leave_reason import LeaveReason


class Heard:
    """Lists, in order, what each callback and each signal of a client gets."""

    def __init__(self, on_joined=lambda: None, selector=None):
        self.client, self.log, self.on_joined = Client(), [], on_joined
        callbacks = Callbacks()
        callbacks.functions.update({name: self._keeper(name) for name in PARAMETERS})
        if selector is None:
            self.invoker = make_invoker(self.client, **callbacks.functions)
        else:
            self.invoker = CallbackInvoker(self.client, callbacks, selector, None, stream="s")
        overflow = BackPressureLog().handler(None, PLENTY)
        self.inbox = EventInbox(
            GreenletGroup("rtms test"), PLENTY, overflow, self.invoker, self._joined
        )

    def _keeper(self, name):
        return lambda *arguments: self.log.append((f"on_{name}", arguments))

    def _joined(self):
        self.log.append(("media may flow", gevent.get_hub()))
        self.on_joined()

    @contextlib.contextmanager
    def listening(self):
        with contextlib.ExitStack() as stack:
            for name in EVENTS:

                def receive(sender, *, name=name, **arguments):
                    self.log.append((name, arguments))

                signal = getattr(signals, name)
                stack.enter_context(signal.connected_to(receive, sender=self.client))
            yield self

    def deliver(self, *events):
        with self.listening():
            self.inbox.add([(event, 0) for event in events], 0)
            self.inbox.deliver()
        return self.log


@pytest.mark.parametrize("name", sorted(EVENTS.keys() - {"joined", "left"}))
def test_a_callback_of_its_name_comes_first_and_then_the_signal(name):
    arguments = tuple(object() for _ in EVENTS[name])
    called = []
    if name in PARAMETERS:
        called = [(f"on_{name}", arguments[: len(PARAMETERS[name])])]
    signaled = (name, dict(zip(EVENTS[name], arguments, strict=True)))
    assert Heard().deliver(ClientEvent(name, arguments)) == [*called, signaled]


def test_media_may_flow_when_the_callback_for_having_joined_has_begun():
    log = Heard().deliver(ClientEvent("joined", ("stream", "uuid")))
    assert log == [
        ("media may flow", gevent.get_hub()),
        ("on_join_confirm", (0,)),
        ("joined", {"stream_id": "stream", "uuid": "uuid"}),
    ]


def test_media_flows_on_the_streams_hub_also_where_callbacks_run_beside_it():
    thread, hub = HubThread(), gevent.get_hub()
    try:
        log = Heard(selector=make_selector(callback_thread=thread)).deliver(
            ClientEvent("joined", ("stream", "uuid"))
        )
        gevent.sleep(0)
        assert ("media may flow", hub) in log
        assert ("on_join_confirm", (0,)) in log
    finally:
        thread.stop()


@pytest.mark.parametrize(("was_joined", "callback"), [(True, "leave"), (False, "join_confirm")])
def test_the_end_has_its_callback_and_no_signal_yet(was_joined, callback):
    reason = LeaveReason(6, was_joined=was_joined)
    assert Heard().deliver(ClientEvent("left", ("stream", reason))) == [(f"on_{callback}", (6,))]


def test_the_end_of_all_comes_though_all_was_closed():
    heard, reason = Heard(), LeaveReason.left()
    heard.invoker.close()
    heard.inbox.close()
    with heard.listening():
        heard.inbox.deliver_end(ClientEvent("left", ("stream", reason)))
    assert heard.log == [
        ("on_end", (reason,)),
        ("left", {"stream_id": "stream", "reason": reason}),
    ]


def test_nothing_follows_a_callback_that_leaves():
    heard = Heard()
    heard.invoker.callbacks.functions["gave_up"] = lambda error: heard.invoker.close()
    assert heard.deliver(ClientEvent("gave_up", (None,)), ClientEvent("gave_up", (None,))) == []


def test_a_callback_that_raises_costs_neither_its_signal_nor_the_next_event(caplog):
    heard = Heard()
    heard.invoker.callbacks.functions["reconnected"] = lambda outage: 1 / 0
    log = heard.deliver(ClientEvent("reconnected", (1,)), ClientEvent("reconnected", (2,)))
    assert [name for name, _ in log] == ["error", "reconnected"] * 2
    assert heard.invoker.callback_errors == {"reconnected": 2}
