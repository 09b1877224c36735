# Executor-Based Callback Dispatch
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import rtms_gevent as rtms


def say(line):
    print(f"{line}\n", end="")  # in one piece, whatever other threads print


def run_asr_model(data, size, timestamp, metadata):
    say(f"model: {data.decode()} in {threading.current_thread().name}")


def write_to_database(data, size, timestamp, metadata):
    say(f"database: {data.decode()} in {threading.current_thread().name}")


# Per-client executor
client = rtms.Client(executor=ThreadPoolExecutor(max_workers=8, thread_name_prefix="per-client"))
client.on_audio_data(run_asr_model)  # dispatched to thread pool
client.on_transcript_data(write_to_database)  # dispatched to thread pool
client.join(json.loads(sys.argv[1]))

without = rtms.Client()
without.on_audio_data(run_asr_model)
without.join(json.loads(sys.argv[2]))

# Global default for all clients in the event loop
rtms.run(
    executor=ThreadPoolExecutor(max_workers=32, thread_name_prefix="global"), stop_on_empty=True
)
