"""The page of one worker in a real browser, with streams of another one."""

from __future__ import annotations

from .test_chromium import Page, driver, page, pytestmark  # noqa: F401
from .test_workers import Workers, workers  # noqa: F401


def test_a_browser_shows_streams_of_other_workers(
    workers: Workers,  # noqa: F811
    page: Page,  # noqa: F811
) -> None:
    (pid, here), (other, there) = workers.streams.items()
    with workers.only(pid):
        page.open(workers.server.link)
    for owner, script in ((other, there), (pid, here)):
        page.choose(script, f"uuid-{owner}")
        page.wait(lambda owner=owner: f"typed in {owner}" in page.text("#chat"))
    shown = sorted(page.texts(".stream .worker"))
    assert shown == sorted(f"worker {pid}" for pid in workers.streams)
    assert f"worker process {other}" in page.title(f"uuid-{other}")
