"""A web page that shows running streams live, for any Flask app to mount.

::

    from rtms_gevent.live import LivePage

    LivePage(authorize=lambda: current_user.is_authenticated).init_app(app)

It learns everything from :mod:`rtms_gevent.signals`, so it shows the media that the app itself
asked for, whoever joined the streams. It needs a server that speaks WebSocket: gunicorn with
gevent-websocket's worker, ``-k geventwebsocket.gunicorn.workers.GeventWebSocketWorker``. With more
than one worker process, a viewer sees the streams of the process that serves it.

Closed to all but this machine until the app says otherwise: see :class:`LivePage`.
"""

from .page import LivePage

__all__ = ["LivePage"]
