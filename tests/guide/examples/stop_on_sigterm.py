# Stopping the Event Loop
import json
import signal
import sys

import rtms_gevent as rtms

signal.signal(signal.SIGTERM, lambda *_: rtms.stop())

client = rtms.Client()
client.on_join_confirm(lambda reason: print("joined", reason))
client.on_audio_data(lambda *_: None)
client.join(json.loads(sys.argv[1]))

rtms.run()  # stops cleanly on SIGTERM
print("stopped cleanly")
