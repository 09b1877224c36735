"""Prints what is said in Zoom meetings, in as many processes as you like."""

import rtms_gevent as rtms

clients = {}  # of the streams that live in this process


@rtms.on_webhook_event(host="127.0.0.1")
def handle(payload):
    stream_id = payload["payload"].get("rtms_stream_id")
    if stream_id in clients:
        clients[stream_id].notify(payload)  # Zoom has moved, interrupted or stopped the stream
    elif payload["event"].endswith("rtms_started"):
        client = rtms.Client()
        client.on_transcript_data(lambda data, size, time, who: print(who.userName, data.decode()))
        client.on_end(lambda reason: clients.pop(stream_id))
        client.join(payload)
        clients[stream_id] = client


rtms.run()
