# Layer 1 - Single process, inline callbacks
import rtms_gevent as rtms


@rtms.on_webhook_event
def handle(payload):
    if payload.get("event") != "meeting.rtms_started":
        return
    client = rtms.Client()
    client.on_transcript_data(lambda d, s, t, m: print(m.userName, d.decode()))
    client.join(payload["payload"])


rtms.run()
