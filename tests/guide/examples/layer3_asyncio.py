# Layer 3 - asyncio native
import asyncio

import rtms_gevent as rtms


class Database:
    async def execute(self, statement, *values):
        await asyncio.sleep(0)
        print(statement, *values)


db = Database()


async def start_web_server():
    print("web server started")


async def on_transcript(data, size, timestamp, metadata):
    await db.execute("INSERT INTO transcripts VALUES ($1, $2)", metadata.userId, data)


@rtms.on_webhook_event
def handle(payload):
    if payload.get("event") != "meeting.rtms_started":
        return
    client = rtms.Client()
    client.on_transcript_data(on_transcript)  # coroutine auto-detected
    client.join(payload["payload"])


async def main():
    await asyncio.gather(
        rtms.run_async(),
        start_web_server(),
    )


asyncio.run(main())
