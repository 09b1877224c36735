"""Settings of gunicorn, which reads this file by itself."""

bind = "127.0.0.1:8000"

# Streams live beside requests, and the live page speaks WebSocket on this worker's sockets.
worker_class = "gevent"

# A stream lives in the process that answered its webhook, and the live page shows the streams of
# the process that serves it.
workers = 1

# Pages that are open would hold up a restart for longer.
graceful_timeout = 5
