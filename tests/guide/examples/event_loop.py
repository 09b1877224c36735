# Explicit Event Loops: EventLoop
import rtms_gevent as rtms

loop = rtms.EventLoop(poll_interval=0.01, name="my-loop")


@rtms.on_webhook_event
def handle(payload):
    if "rtms_started" not in payload.get("event", ""):
        return
    client = rtms.Client()

    @client.on_transcript_data
    def _(data, size, timestamp, metadata):
        print(f"{metadata.userName}: {data.decode()}")

    loop.add(client)  # assigns client to this loop's thread
    client.join(payload["payload"])


loop.run()  # blocks current thread
