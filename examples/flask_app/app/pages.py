"""The app's own pages."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, render_template

pages = Blueprint("pages", __name__)


@pages.before_request
def check_viewer() -> Response | None:
    """Let those in who may see the live page: the minutes have what was said, too."""
    return current_app.extensions["rtms_live"].guard()


@pages.get("/")
def home() -> str:
    return render_template("home.html", meetings=current_app.extensions["minutes"].newest_first())


@pages.get("/meetings/<stream_id>")
def meeting(stream_id: str) -> str:
    found = current_app.extensions["minutes"].get(stream_id)
    if found is None:
        abort(404)
    return render_template("meeting.html", meeting=found)
