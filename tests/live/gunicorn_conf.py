"""Settings of the gunicorn that serves the page: many of them run at the same time."""

control_socket_disable = True
