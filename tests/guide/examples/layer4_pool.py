# Layer 4 - Multi-thread (EventLoopPool)
from concurrent.futures import ThreadPoolExecutor

import rtms_gevent as rtms


def say(line):
    print(f"{line}\n", end="")  # in one piece, whatever other threads print


def write_to_database(data, size, timestamp, metadata):
    say(f"database: {data.decode()}")


pool = rtms.EventLoopPool(threads=4)
executor = ThreadPoolExecutor(max_workers=32)


@rtms.on_webhook_event
def handle(payload):
    if "rtms_started" not in payload.get("event", ""):
        return
    client = rtms.Client(executor=executor)
    client.on_transcript_data(write_to_database)
    pool.add(client)  # routed to least-loaded loop
    client.join(payload["payload"])


pool.run()
