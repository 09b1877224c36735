# Webhook Validation
import hashlib
import hmac
import os

import rtms_gevent as rtms


def verify_signature(body: str, timestamp: str, signature: str) -> bool:
    message = f"v0:{timestamp}:{body}"
    expected = (
        "v0="
        + hmac.new(
            os.environ["ZM_RTMS_WEBHOOK_SECRET"].encode(), message.encode(), hashlib.sha256
        ).hexdigest()
    )
    return hmac.compare_digest(expected, signature)


@rtms.on_webhook_event
def handle_webhook(payload, request, response):
    signature = request.headers.get("x-zm-signature", "")
    timestamp = request.headers.get("x-zm-request-timestamp", "")

    # Zoom endpoint validation challenge
    validator = request.headers.get("x-zm-webhook-validator")
    if validator:
        response.set_status(200)
        response.send({"plainToken": validator})
        return

    if not verify_signature(str(payload), timestamp, signature):
        response.set_status(401)
        response.send({"error": "Unauthorized"})
        return

    response.send({"status": "ok"})

    if "rtms_started" in payload.get("event", ""):
        client = rtms.Client()
        client.on_transcript_data(
            lambda data, size, ts, meta: print(f"{meta.userName}: {data.decode()}")
        )
        client.join(payload["payload"])


rtms.run()
