"""The page in a real browser: what people see, on a desktop and on a phone."""

from __future__ import annotations

import base64
import pathlib
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from demo.test_demo import running

from .conftest import PageServer, Signals, serve_page
from .page_app import TOKEN

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER), reason="chromium or chromedriver is not installed"
    ),
    pytest.mark.timeout(120),
]

# Two pictures of 8 x 8 pixels, one red and one blue, as ImageMagick writes them.
RED, BLUE = (
    base64.b64decode(text)
    for text in (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAIAAgDAREAAhEBAxEB/8QAFAABAAAAAAAAAAAAAAAAAAAACP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/xAAVAQEBAAAAAAAAAAAAAAAAAAAHCf/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAMAwEAAhEDEQA/ADoDFU3/2Q==",
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAIAAgDAREAAhEBAxEB/8QAFAABAAAAAAAAAAAAAAAAAAAACf/EABQQAQAAAAAAAAAAAAAAAAAAAAD/xAAVAQEBAAAAAAAAAAAAAAAAAAAGCf/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAMAwEAAhEDEQA/AD3VTB3/2Q==",
    )
)
LOUD = b"\xff\x3f" * 320
WAIT = 10

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Page:
    """The live page in a browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def run(self, script: str) -> Any:
        return self.driver.execute_script(f"return {script}")

    def text(self, selector: str) -> str:
        return str(self.run(f"document.querySelector({selector!r})?.innerText ?? ''"))

    def texts(self, selector: str) -> list[str]:
        found = f"[...document.querySelectorAll({selector!r})].map((one) => one.innerText)"
        return list(self.run(found))

    def wait(self, found: Callable[[], object]) -> None:
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, WAIT, poll_frequency=0.05).until(lambda _: found())

    def open(self, url: str, width: int = 1280, height: int = 800, mobile: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(url)
        self.wait(lambda: self.text("#connection-text") == "Connected")
        self.refusals()

    def refusals(self) -> list[str]:
        """Take what the browser logged of answers with 403; there must be nothing else."""
        reported = [entry["message"] for entry in self.driver.get_log("browser")]
        assert [message for message in reported if "403 (FORBIDDEN)" not in message] == []
        return reported

    def _button(self, uuid: str) -> str:
        return (
            f"[...document.querySelectorAll('.stream')].find((one) => one.title.includes({uuid!r}))"
        )

    def title(self, uuid: str) -> str:
        """What the button of a stream says of it."""
        return str(self.run(f"{self._button(uuid)}.title"))

    def choose(self, script: Signals, uuid: str) -> None:
        """Turn to the stream of this test; others may be there too."""
        button = self._button(uuid)
        self.wait(lambda: self.run(button))
        self.driver.execute_script(f"{button}.click()")
        self.wait(lambda: self.text("#uuid") == uuid)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def page(driver: Any) -> Iterator[Page]:
    driver.get_log("browser")  # what another test left
    yield Page(driver)
    # Errors of scripts, and everything that the Content-Security-Policy held back.
    assert [entry["message"] for entry in driver.get_log("browser")] == []


@pytest.fixture
def stranger(page: Page) -> Page:
    """A browser that has no cookie."""
    page.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    return page


def test_the_link_opens_the_page_and_leaves_the_address_bar(
    stranger: Page, server: PageServer
) -> None:
    stranger.open(server.link)
    assert stranger.run("location.href") == server.url
    (cookie,) = stranger.driver.get_cookies()
    assert (cookie["name"], cookie["value"]) == (f"rtms_live_{server.port}", TOKEN)
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Strict", False)
    assert TOKEN not in stranger.run("document.documentElement.outerHTML")
    assert [one for one in server.requests() if TOKEN in one] == []
    stranger.driver.get("about:blank")
    stranger.driver.get(server.link)
    stranger.wait(lambda: stranger.run("location.href") == server.url)
    stranger.wait(lambda: stranger.text("#connection-text") == "Connected")
    assert stranger.refusals() == []  # the cookie was enough


def test_a_link_on_another_site_opens_the_page(stranger: Page, server: PageServer) -> None:
    """Browsers send no cookie that is SameSite=Strict where another site has led them."""
    link = f"<a href='{server.link}'>the meeting</a>"
    stranger.driver.get(f"data:text/html,{urllib.parse.quote(link)}")
    stranger.driver.find_element("tag name", "a").click()
    stranger.wait(lambda: stranger.text("#connection-text") == "Connected")
    assert stranger.run("location.href") == server.url
    assert stranger.refusals()


def test_a_link_to_the_page_that_is_open_already_counts(stranger: Page, server: PageServer) -> None:
    stranger.driver.get(server.url)
    assert stranger.text("h1") == "This page is closed"
    stranger.driver.get(server.link)  # the same page to the browser: it loads nothing
    stranger.wait(lambda: stranger.text("#connection-text") == "Connected")
    assert stranger.run("location.href") == server.url
    assert stranger.refusals()


def test_the_link_of_the_demo_opens_its_page(stranger: Page, tmp_path: pathlib.Path) -> None:
    with running(tmp_path) as (process, link):
        stranger.open(link.url)
        stranger.wait(lambda: stranger.text("#state") == "Live")
        assert stranger.run("location.href") == link.url.partition("#")[0]
        stranger.driver.get("about:blank")
        process.terminate()
        process.communicate(timeout=30)


def test_without_the_link_the_page_asks_for_the_token(stranger: Page, server: PageServer) -> None:
    stranger.driver.get(server.url)
    assert stranger.text("h1") == "This page is closed"
    assert stranger.texts(".participant") == []

    def enter(token: str) -> None:
        stranger.driver.execute_script(
            "document.querySelector('input').value = arguments[0];"
            "document.querySelector('button').click()",
            token,
        )

    enter("another-token")
    stranger.wait(lambda: stranger.text("#notice") == "That is not the token.")
    assert stranger.driver.get_cookies() == []
    enter(TOKEN)
    stranger.wait(lambda: stranger.text("#connection-text") == "Connected")
    assert stranger.run("location.href") == server.url
    assert stranger.refusals()


def test_a_link_with_another_token_opens_nothing(stranger: Page, server: PageServer) -> None:
    stranger.driver.get(f"{server.url}#token=of-another-server")
    stranger.wait(lambda: stranger.text("#notice") == "That is not the token.")
    assert stranger.run("location.href") == server.url
    assert stranger.refusals()


def test_a_page_whose_token_has_changed_says_so(stranger: Page) -> None:
    with serve_page() as server:
        stranger.open(server.link)
    app = "page_app:create_app(RTMS_LIVE_TOKEN='the-token-of-another-run')"
    with serve_page(port=server.port, app=app):
        stranger.wait(lambda: "the log of the server" in stranger.text("#notice"))
        stranger.driver.get("about:blank")
    stranger.driver.get_log("browser")  # connections that failed


def test_behind_a_proxy_that_changes_the_host_the_page_says_what_to_do(
    stranger: Page, server: PageServer, nginx: int
) -> None:
    stranger.driver.get(f"http://127.0.0.1:{nginx}/rtms/live/#token={TOKEN}")
    stranger.wait(lambda: "the headers Upgrade and Host" in stranger.text("#notice"))
    stranger.driver.get("about:blank")
    stranger.driver.get_log("browser")


NUMBERS = (10**17, -(10**17), 10**20, 10**400, 2**53, 8_640_000_000_000_001, -1, 0)


@pytest.mark.parametrize("app", ["page_app:create_app()", "page_app:create_careless_app()"])
def test_the_page_survives_any_number(page: Page, app: str) -> None:
    """Also one that is no time: the server leaves it out, and so does the page."""
    page.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    script = Signals("numbers")
    with serve_page(app=app) as server:
        page.open(server.link)
        server.emit(*script.begin("uuid-numbers"))
        page.choose(script, "uuid-numbers")
        for place, number in enumerate(NUMBERS, 1):
            server.emit(
                script.arrive(number, "Ada"),
                script.speak(number, "Ada"),
                script.media("audio", LOUD, userId=number, userName="Ada"),
                script.media("transcript", str(place), userId=number, startTs=number or 1),
                script.media("chat", str(place), at=number, userId=number),
                script.media("video", RED, userId=number, userName="Ada"),
            )
        server.emit(
            script.media("transcript", "even", userId=1, userName="Bob", startTs=1_700_000_000_000),
            script.media("chat", "even", userId=1, userName="Bob"),
        )
        expected = [*map(str, range(1, len(NUMBERS) + 1)), "even"]
        page.wait(lambda: page.texts("#transcript .text") == expected)
        page.wait(lambda: page.texts("#chat .text") == expected)
        page.wait(lambda: page.text("#video .number") == f"frame {len(NUMBERS)}")
        assert "NaN" not in page.text("#meeting")
        last = "document.querySelector('#transcript li:last-child time').dateTime"
        assert page.run(last) == "2023-11-14T22:13:20.000Z"
        page.driver.get("about:blank")


def test_more_participants_than_the_page_keeps_are_counted(
    page: Page, server: PageServer, script: Signals
) -> None:
    page.open(server.link)
    server.emit(*script.begin("uuid-crowd"))
    page.choose(script, "uuid-crowd")
    for hundred in range(6):
        server.emit(*(script.arrive(hundred * 100 + number, "x") for number in range(100)))
    page.wait(lambda: page.text("#people-count") == "500, 100 forgotten")
    assert page.run("document.querySelectorAll('.participant').length") == 500


def test_a_meeting_is_shown_as_it_happens(page: Page, server: PageServer, script: Signals) -> None:
    page.open(server.link)
    server.emit(*script.begin("uuid-happens"), script.arrive(1, "Ada"), script.arrive(2, "Bob"))
    page.choose(script, "uuid-happens")
    page.wait(lambda: page.texts(".participant .name") == ["Ada", "Bob"])

    server.emit(
        script.speak(2, "Bob"),
        script.media("transcript", "Good morning", userId=2, userName="Bob", startTs=1),
        script.media("chat", "Hello to all", userId=1, userName="Ada"),
    )
    page.wait(lambda: page.texts("#transcript .text") == ["Good morning"])
    assert page.texts(".participant[data-speaking] .name") == ["Bob"]
    assert page.texts(".participant[aria-current='true'] .doing") == ["speaking"]
    assert page.texts("#transcript .name") == ["Bob"]
    page.wait(lambda: page.texts("#chat .text") == ["Hello to all"])

    server.emit(script.speak(1, "Ada"))
    page.wait(lambda: page.texts(".participant[data-speaking] .name") == ["Ada"])
    assert page.text("#state") == "Live"
    page.wait(lambda: page.texts("#counters tr[data-media='chat'] td")[0] == "1")

    server.emit(script.end())
    page.wait(lambda: "Ended" in page.title("uuid-happens"))
    page.choose(script, "uuid-happens")  # it goes on to what is live, if another test left that
    page.wait(lambda: page.text("#state") == "Ended: meeting ended")


def test_lines_are_revised_where_they_stand(
    page: Page, server: PageServer, script: Signals
) -> None:
    page.open(server.link)
    server.emit(*script.begin("uuid-revised"))
    page.choose(script, "uuid-revised")
    for start, text in ((1, "helo"), (2, "wrong"), (3, "last")):
        server.emit(script.media("transcript", text, userId=1, startTs=start, attribute=1))
    page.wait(lambda: page.texts("#transcript .text") == ["helo", "wrong", "last"])
    server.emit(
        script.media("transcript", "hello", userId=1, startTs=1, attribute=2),
        script.media("transcript", "", userId=1, startTs=2, attribute=3),
    )
    page.wait(lambda: page.texts("#transcript .text") == ["hello (edited)", "last"])


def test_the_picture_changes_with_the_video(
    page: Page, server: PageServer, script: Signals
) -> None:
    def colour() -> list[int]:
        """Return the red and blue of a pixel in the middle of the picture."""
        return list(
            page.driver.execute_async_script(
                """
                const done = arguments[0], image = document.querySelector("#video img");
                const canvas = document.createElement("canvas").getContext("2d");
                image.decode().then(() => {
                  canvas.drawImage(image, 0, 0, 8, 8);
                  const [red, , blue] = canvas.getImageData(4, 4, 1, 1).data;
                  done([red, blue]);
                }, () => done([0, 0]));
                """
            )
        )

    page.open(server.link)
    server.emit(*script.begin("uuid-picture"), script.media("video", RED, userId=1, userName="Ada"))
    page.choose(script, "uuid-picture")
    page.wait(lambda: page.text("#video .number") == "frame 1")
    page.wait(lambda: colour()[0] > 200 and colour()[1] < 60)
    server.emit(script.media("video", BLUE, userId=1, userName="Ada"))
    page.wait(lambda: colour()[0] < 60 and colour()[1] > 200)
    assert page.text("#video .who") == "Ada"

    server.emit(script.media("deskshare", RED, userId=1, userName="Ada"))
    page.wait(lambda: page.run("!document.querySelector('#deskshare').hidden"))
    server.emit(script.signal("sharing_event", event="stop", timestamp=1))
    page.wait(lambda: page.run("document.querySelector('#deskshare').hidden"))


def test_h264_is_counted_and_explained(page: Page, server: PageServer, script: Signals) -> None:
    page.open(server.link)
    packet = script.media("video", b"\x00\x00\x00\x01\x67", userId=1)
    server.emit(*script.begin("uuid-h264"), packet, packet)
    page.choose(script, "uuid-h264")
    page.wait(lambda: "H.264" in page.text("#video .placeholder"))
    page.wait(lambda: page.text("#video .number") == "packet 2")


def test_a_meter_rises_with_the_voice_and_falls(
    page: Page, server: PageServer, script: Signals
) -> None:
    def level() -> int:
        return int(page.run("document.querySelector('.meter')?.ariaValueNow") or 0)

    page.open(server.link)
    server.emit(*script.begin("uuid-meter"), script.arrive(1, "Ada"))
    page.choose(script, "uuid-meter")

    def speaks() -> bool:
        server.emit(script.media("audio", LOUD, userId=1, userName="Ada"))
        return level() == 90

    page.wait(speaks)
    page.wait(lambda: level() == 0)


def test_what_people_typed_stays_text(page: Page, server: PageServer, script: Signals) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    name = "<b>Zoë</b> & co"
    page.open(server.link)
    server.emit(
        *script.begin("uuid-typed"),
        script.arrive(1, name),
        script.speak(1, name),
        script.media("chat", evil, userId=1, userName=name),
        script.media("transcript", evil, userId=1, userName=name, startTs=1),
        script.media("video", RED, userId=1, userName=name),
    )
    page.choose(script, "uuid-typed")
    page.wait(lambda: page.texts("#chat .text") == [evil])
    page.wait(lambda: page.texts("#transcript .text") == [evil])
    page.wait(lambda: page.text("#video .who") == name)
    assert page.texts(".participant .name") == [name]
    assert page.texts("#chat .name") == [name]
    assert page.run("document.querySelectorAll('main b, main script, .lines img').length") == 0
    assert page.run("document.title") == f"{name} · Live · rtms-gevent"


def test_a_phone_shows_all_without_scrolling_sideways(
    page: Page, server: PageServer, script: Signals
) -> None:
    page.open(server.link, 360, 740, mobile=True)
    long = "Longwordwithoutanyspace" * 20
    server.emit(
        *script.begin("uuid-phone"),
        script.arrive(1, long),
        script.speak(1, long),
        script.media("transcript", long, userId=1, userName=long, startTs=1),
        script.media("chat", long, userId=1, userName=long),
        script.media("video", RED, userId=1, userName=long),
        script.media("deskshare", BLUE, userId=1, userName=long),
    )
    page.choose(script, "uuid-phone")
    page.wait(lambda: page.texts("#chat .text") == [long])
    page.wait(lambda: page.text("#deskshare .number") == "frame 1")
    assert page.run("document.documentElement.scrollWidth") == 360
    assert page.run("innerWidth") == 360


def test_who_scrolled_back_is_left_there(page: Page, server: PageServer, script: Signals) -> None:
    def at_end() -> bool:
        scroll = "document.querySelector('.words .scroll')"
        return bool(
            page.run(f"{scroll}.scrollHeight - {scroll}.scrollTop - {scroll}.clientHeight < 40")
        )

    page.open(server.link)
    server.emit(*script.begin("uuid-scroll"))
    page.choose(script, "uuid-scroll")
    for number in range(60):
        line = script.media("transcript", f"line {number}", userId=number % 2, startTs=number + 1)
        server.emit(line)
    page.wait(lambda: len(page.texts("#transcript .text")) == 60)
    page.wait(at_end)
    page.driver.execute_script("document.querySelector('.words .scroll').scrollTop = 0")
    page.wait(lambda: not page.run("document.querySelector('.words .latest').hidden"))
    server.emit(script.media("transcript", "news", userId=1, startTs=100))
    page.wait(lambda: len(page.texts("#transcript .text")) == 61)
    assert not at_end()
    page.driver.execute_script("document.querySelector('.words .latest').click()")
    page.wait(at_end)


def test_the_page_comes_back_after_the_server_did(driver: Any) -> None:
    page = Page(driver)
    script = Signals("back")
    with serve_page() as server:
        page.open(server.link)
        server.emit(*script.begin("uuid-before"))
        page.wait(lambda: page.text("#uuid") == "uuid-before")
    page.wait(lambda: page.text("#connection-text").startswith("Reconnecting"))
    with serve_page(port=server.port) as server:
        server.emit(*script.begin("uuid-after"))
        page.wait(lambda: page.text("#uuid") == "uuid-after")
        assert page.text("#connection-text") == "Connected"
        driver.get("about:blank")


def test_a_server_without_websocket_is_named(driver: Any, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "plain.py"
    program.write_text(
        "import sys\n"
        "from flask import Flask\n"
        "from gevent.pywsgi import WSGIServer\n"
        "import gevent\n"
        "from rtms_gevent.live import LivePage\n"
        "app = Flask(__name__)\n"
        "app.config['RTMS_LIVE_PUBLIC'] = True\n"
        "LivePage(app)\n"
        "server = WSGIServer(('127.0.0.1', 0), app, log=None)\n"
        "server.start()\n"
        "print(server.server_port, flush=True)\n"
        "gevent.get_hub().threadpool.apply(sys.stdin.read)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        page = Page(driver)
        driver.get(f"http://127.0.0.1:{int(process.stdout.readline())}/rtms/live/")
        page.wait(lambda: "gunicorn -k gevent" in page.text("#notice"))
        driver.get("about:blank")
        process.stdin.close()
