"""Settings of gunicorn, which reads this file by itself."""

bind = "127.0.0.1:8000"

# gevent, and WebSockets for the live page. Without that page, "gevent" will do.
worker_class = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"

# A stream lives in the process that answered its webhook, and the live page shows the streams of
# the process that serves it.
workers = 1

# Pages that are open would hold up a restart for longer.
graceful_timeout = 5
