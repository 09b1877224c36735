"""What an HTTP server needs under gevent: bounded bodies, WebSocket upgrades. Knows no RTMS."""
