"""The app's own pages."""

from __future__ import annotations

from flask import Blueprint, abort, current_app, render_template

pages = Blueprint("pages", __name__)


@pages.get("/")
def home() -> str:
    return render_template("home.html", meetings=current_app.extensions["minutes"].newest_first())


@pages.get("/meetings/<stream_id>")
def meeting(stream_id: str) -> str:
    found = current_app.extensions["minutes"].get(stream_id)
    if found is None:
        abort(404)
    return render_template("meeting.html", meeting=found)


@pages.get("/healthz")
def health() -> str:
    return "ok"
