"""Settings of gunicorn, which reads this file by itself."""

# Optional: collects garbage less often, so that no stream has to wait for it.
from rtms_gevent.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
worker_class = "gevent"
workers = 4
# A worker that ends lets callbacks finish for so long, hands its streams over, and is replaced.
graceful_timeout = 30
max_requests = 10000
max_requests_jitter = 1000
