# Webhook Integration
import rtms_gevent as rtms


@rtms.on_webhook_event
def handle_webhook(payload):
    if "rtms_started" not in payload.get("event", ""):
        return

    client = rtms.Client()

    @client.on_transcript_data
    def on_transcript(data, size, timestamp, metadata):
        print(f"[{timestamp}] {metadata.userName}: {data.decode()}")

    client.join(payload["payload"])


rtms.run()  # blocks; Ctrl-C to stop
