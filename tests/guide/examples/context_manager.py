# Context Manager
import json
import sys

import rtms_gevent as rtms

MEETING = json.loads(sys.argv[1])


def process(data):
    print("processed", data)


with rtms.Client() as client:
    client.on_audio_data(lambda data, size, ts, meta: process(data))
    client.join(
        meeting_uuid=MEETING["meeting_uuid"],
        rtms_stream_id=MEETING["rtms_stream_id"],
        server_urls=MEETING["server_urls"],
    )
    rtms.run(stop_on_empty=True)
# client.leave() called automatically on exit
print("over")
