"""Settings of gunicorn, which reads this file by itself."""

import os
import secrets

bind = "127.0.0.1:8000"

# Streams live beside requests, and the live page speaks WebSocket on this worker's sockets.
worker_class = "gevent"

# Each stream lives in one of them, and every one shows all: the workers find each other. Where one
# ends or dies, another goes on with its streams.
workers = 4

# The key of which the live page makes its token must be the same in all workers. Choose one that
# stays, and tokens are good beyond a restart.
os.environ.setdefault("FLASK_SECRET_KEY", secrets.token_urlsafe())
