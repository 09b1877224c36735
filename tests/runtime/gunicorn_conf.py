"""An app's own settings of gunicorn."""

import os


def worker_exit(server, worker):
    os.write(1, b"the app's own hook\n")
