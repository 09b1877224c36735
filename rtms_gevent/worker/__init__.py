"""``rtms-gevent worker``: processes that keep streams, and serve no HTTP."""
