"""Notes which workers serve; the package itself needs no hook."""


def post_worker_init(worker):
    from shop import note

    note("born")
