"""A web page that shows running streams live, for any Flask app to mount.

::

    from rtms_gevent.live import LivePage

    LivePage(authorize=lambda: current_user.is_authenticated).init_app(app)

It learns everything from :mod:`rtms_gevent.signals`, so it shows the media that the app itself
asked for, whoever joined the streams. It needs gunicorn's gevent worker (``gunicorn -k gevent``),
whose sockets an app can speak WebSocket on; gevent-websocket's worker will do, too. Whichever
worker process serves a viewer, it shows the streams of all workers of the machine.

Closed to whoever has neither its token nor the app's permission: see :class:`LivePage`.
"""

from .page import LivePage

__all__ = ["LivePage"]
