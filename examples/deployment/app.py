"""An app that writes down what is said; its streams live wherever they are shared.

In gunicorn's workers, in ``rtms-gevent worker``, or in both: the app is the same.
"""

from flask import Flask

from rtms_gevent.flask import RTMS

rtms = RTMS()


@rtms.on_stream_started
def started(client, event):
    @client.on_transcript_data
    def line(data, size, timestamp, metadata):
        print(f"{event.stream_id} {metadata.userName}: {data.decode()}", flush=True)


def create_app():
    app = Flask(__name__)
    rtms.init_app(app)

    @app.get("/healthz")
    def health():
        return "ok"

    return app
