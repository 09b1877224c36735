"""From the hub, which reads, to the functions of the user: queues, executors, calls."""
