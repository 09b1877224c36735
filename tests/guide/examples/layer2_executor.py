# Layer 2 - Single process, executor dispatch
import threading
from concurrent.futures import ThreadPoolExecutor

import rtms_gevent as rtms


def say(line):
    print(f"{line}\n", end="")  # in one piece, whatever other threads print


def run_asr_model(data, size, timestamp, metadata):
    say(f"model: {data.decode()} {threading.current_thread() is threading.main_thread()}")


def write_to_database(data, size, timestamp, metadata):
    say(f"database: {data.decode()} {threading.current_thread() is threading.main_thread()}")


executor = ThreadPoolExecutor(max_workers=32)


@rtms.on_webhook_event
def handle(payload):
    if payload.get("event") != "meeting.rtms_started":
        return
    client = rtms.Client(executor=executor)
    client.on_audio_data(run_asr_model)  # dispatched to thread pool
    client.on_transcript_data(write_to_database)  # dispatched to thread pool
    client.join(payload["payload"])


rtms.run()
