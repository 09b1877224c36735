# asyncio Integration: async callbacks
import asyncio
import json
import sys

import rtms_gevent as rtms


class Database:
    async def insert(self, table, data):
        await asyncio.sleep(0)
        print(f"INSERT INTO {table}: {data.decode()}")


db = Database()


async def main():
    client = rtms.Client()

    async def save_audio(data, size, timestamp, metadata):
        await db.insert("audio", data)  # fully non-blocking

    client.on_audio_data(save_audio)  # coroutine detected, dispatched via loop
    client.join(json.loads(sys.argv[1]))
    await rtms.run_async(stop_on_empty=True)


asyncio.run(main())
