# asyncio Integration
import asyncio
import os

from aiohttp import web

import rtms_gevent as rtms

routes = web.RouteTableDef()


@routes.post("/webhook")
async def webhook(request):
    payload = await request.json()
    if "rtms_started" in payload.get("event", ""):
        client = rtms.Client()
        client.on_transcript_data(lambda d, s, t, m: print(m.userName, d.decode()))
        client.join(payload["payload"])
    return web.Response(text="ok")


async def main():
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port=int(os.environ["ZM_RTMS_PORT"])).start()
    await rtms.run_async()  # yields control between polls - never blocks


asyncio.run(main())
