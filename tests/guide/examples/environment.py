# Environment Setup
from dotenv import load_dotenv

import rtms_gevent as rtms

load_dotenv(".env")


@rtms.on_webhook_event
def handle_webhook(payload):
    if "rtms_started" not in payload.get("event", ""):
        return
    client = rtms.Client()
    client.on_transcript_data(lambda d, s, t, m: print(m.userName, d.decode()))
    client.join(payload["payload"])


rtms.run()
