# Explicit Event Loops: the methods of EventLoop
import json
import sys

import rtms_gevent as rtms

loop = rtms.EventLoop(name="background").start()
client = rtms.Client()


@client.on_leave
def on_leave(reason):
    print("left", reason)
    loop.stop()


client.on_transcript_data(lambda d, s, t, m: print(m.userName, d.decode()))
loop.add(client)
print("clients:", loop.client_count)
client.join(json.loads(sys.argv[1]))
loop.join(timeout=30)
print("clients:", loop.client_count)
