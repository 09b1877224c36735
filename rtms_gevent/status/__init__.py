"""The command ``rtms-gevent status``: the workers, their streams, and how these do."""
