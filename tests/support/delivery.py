"""What delivers, without a socket: only a hub is needed."""

from __future__ import annotations

import gevent

from rtms_gevent import InboxLimits, MediaDataType, Metadata
from rtms_gevent.delivery.callbacks import Callbacks
from rtms_gevent.delivery.invoker import CallbackInvoker
from rtms_gevent.delivery.overflow import OverflowHandler
from rtms_gevent.delivery.runner_selector import RunnerSelector
from rtms_gevent.protocol.packets import MediaPacket
from rtms_gevent.runtime.hub_context import HubContext

#: More than any test puts in.
PLENTY = InboxLimits(packets=1000)


def packet(data=b"x", user=7, timestamp=0, kind=MediaDataType.AUDIO):
    return MediaPacket(kind, data, timestamp, Metadata(userId=user))


def packets(count, first=0):
    return [packet(b"%d" % number) for number in range(first, first + count)]


class BackPressureLog:
    """Lists what is done to the stream, and the events that are reported."""

    def __init__(self):
        self.calls = []
        self.reported = []

    def pause(self, kind):
        self.calls.append(("pause", kind))

    def resume(self, kind):
        self.calls.append(("resume", kind))

    def fail(self, error):
        self.calls.append(("fail", error))

    def handler(self, kind, limits):
        return OverflowHandler(
            kind, limits.when_full, stream="s", back_pressure=self, report=self.reported.append
        )


def make_selector(executor=None, /, **context):
    """Choose for a hub's context that has these attributes, beside its hub."""
    hub_context = HubContext(gevent.get_hub())
    for name, value in context.items():
        setattr(hub_context, name, value)
    return RunnerSelector(hub_context, executor)


def make_invoker(sender=None, *, executor=None, context=None, **functions):
    """Call these functions, by their callbacks' names."""
    callbacks = Callbacks()
    callbacks.functions.update(functions)
    return CallbackInvoker(sender, callbacks, make_selector(executor), context, stream="s")
