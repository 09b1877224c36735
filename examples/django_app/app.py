"""A Django app in one file, which shows what is said in Zoom meetings.

A project of your own has the parts in other files: the view among its views, the settings in
settings.py. The README beside this says how to run it.
"""

from __future__ import annotations

import contextlib
import secrets

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from rtms_gevent.cluster import Cluster
from rtms_gevent.config import WebhookSettings
from rtms_gevent.webhook import AfterAnswer, StreamHandlers, StreamManager, WebhookReceiver

# -- what to do with a meeting ---------------------------------------------------------------------

rtms = StreamHandlers()
lines: list[str] = []  # a real app has a model here


@rtms.on_stream_started
def started(client, event):
    @client.on_transcript_data
    def write_down(data, size, timestamp, metadata):
        lines.append(f"{metadata.userName}: {data.decode()}")


@rtms.on_stream_ended
def ended(client, reason):
    lines.append(f"-- {reason}")


# -- from Zoom's webhook to the functions above ----------------------------------------------------


@contextlib.contextmanager
def database():
    """Give back the connections that a function has opened, as Django does after a request."""
    try:
        yield
    finally:
        close_old_connections()


cluster = Cluster(StreamManager(rtms, context=database))  # with the workers beside this one
receiver = WebhookReceiver(
    WebhookSettings.from_environment(), cluster.handle_event, shared_store=cluster.deliveries
)


class Answer(HttpResponse):
    """The answer to a webhook. Its event is worked on when the server has sent it."""

    def __init__(self, reply):
        super().__init__(reply.body, status=reply.status, content_type=reply.content_type)
        self.after = AfterAnswer(receiver.accept, reply.event) if reply.event else None

    def close(self):
        super().close()
        if self.after:
            self.after.sent()


@csrf_exempt  # Zoom has no token, and signs instead
def webhook(request):
    return Answer(receiver.receive(request.method, request, request.headers))


# -- the rest of the site --------------------------------------------------------------------------


def minutes(request):
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


urlpatterns = [path("rtms/webhook", webhook), path("", minutes)]
settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY=secrets.token_urlsafe(), USE_TZ=True
)
application = get_wsgi_application()
