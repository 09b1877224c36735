"""Settings of the gunicorn that serves the page: many of them run at the same time."""

control_socket_disable = True

#: Seconds until gunicorn kills a worker that goes on after SIGTERM. One that is just being forked
#: does: it has gunicorn's handlers of the parent yet, and the signal gets lost in these.
graceful_timeout = 3
