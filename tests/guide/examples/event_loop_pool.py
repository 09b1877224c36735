# Explicit Event Loops: EventLoopPool
from concurrent.futures import ThreadPoolExecutor

import rtms_gevent as rtms


def say(line):
    print(f"{line}\n", end="")  # in one piece, whatever other threads print


def process_audio(data):
    say(f"processed {data.decode()}")


pool = rtms.EventLoopPool(threads=4, strategy="least_loaded")
executor = ThreadPoolExecutor(max_workers=32)


@rtms.on_webhook_event
def handle(payload):
    if "rtms_started" not in payload.get("event", ""):
        return
    client = rtms.Client(executor=executor)

    @client.on_audio_data
    def _(data, size, timestamp, metadata):
        process_audio(data)

    loop = pool.add(client)  # routed to the loop with fewest clients
    client.join(payload["payload"])
    say(f"loop {pool.loops.index(loop)} of {len(pool.loops)} clients {pool.client_count}")


pool.run()  # blocks; N-1 loops run as daemon threads
