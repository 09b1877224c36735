"""Settings of the gunicorn that serves a stage: many of them run at the same time."""

control_socket_disable = True
