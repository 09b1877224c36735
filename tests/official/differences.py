"""How this package differs from the official one, and why."""

from __future__ import annotations

from collections.abc import Mapping

#: What of the official package is not here, and why.
LEFT_OUT: Mapping[str, str] = {
    "Client.alloc": "allocates a handle of the C library; there is none",
    "Client.is_allocated": "tells whether the C library's handle exists; there is none",
    "Client.initialize": "sets up the C library per process; initialize() sets the CA file",
    "Client.uninitialize": "see Client.initialize; uninitialize() takes the CA file back",
    "WebhookHandler.__init__": "requests are made by the server",
    "WebhookHandler.do_POST": "a method of the standard library's HTTP server, for itself to call",
    "WebhookHandler.send_response": "answers are given by response.set_status() and "
    "response.send()",
    "WebhookResponse.__init__": "responses are made by the server",
}

#: What has another default or shape here, and why.
DIFFERENT: Mapping[str, str] = {
    "WebhookServer.port": "None means ZM_RTMS_PORT, and 8080 where that is not set",
    "WebhookServer.path": "None means ZM_RTMS_PATH, and /rtms/webhook and / where that is not set",
}
