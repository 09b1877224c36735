# Layer 5 - Multi-process: join requests through Redis
import json
import os
import threading

import redis

import rtms_gevent as rtms

r = redis.Redis.from_url(os.environ["REDIS_URL"])
sub = r.pubsub()
sub.subscribe("rtms:join")


@rtms.on_webhook_event
def handle(payload):
    # Publish to queue; a free worker picks it up
    r.publish("rtms:join", json.dumps(payload))


def pick_up():  # which the guide leaves to its readers
    for message in sub.listen():
        payload = json.loads(message["data"]) if message["type"] == "message" else {}
        if payload.get("event") == "meeting.rtms_started":
            client = rtms.Client()
            client.on_transcript_data(lambda d, s, t, m: print(m.userName, d.decode()))
            client.join(payload["payload"])


threading.Thread(target=pick_up, daemon=True).start()
rtms.run()
