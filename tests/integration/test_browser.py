"""What a person sees: the login page and the status page in a real browser."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, ViewportSize, sync_playwright

from ox_deploy.status.page import render_page
from ox_deploy.status.snapshot import Changes
from tests.integration.status import page as status_page
from tests.lab import login, nodes, state
from tests.lab.nodes import run
from tests.lab.state import State
from tests.unit.snapshots import cluster as cluster_of_any_size

pytestmark = [pytest.mark.lab, pytest.mark.only_on(kind="mariadb-11.8"), pytest.mark.usefixtures("cluster")]

DESKTOP: ViewportSize = {"width": 1200, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, which finds the web host by its name."""
    web = state.load().nodes["web"].address
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", f"--host-resolver-rules=MAP {state.WEB_NAME} {web}"],
        )
        yield browser
        browser.close()


# What became of the requests that Chromium gave up.
lost: list[str] = []


def again_if_networks_changed(test: Callable[[Browser], None]) -> Callable[[Browser], None]:
    """Run a test again if it failed and Chromium gave up a request of it because a network of this machine changed.

    It does so for any network, such as one of another lab that comes up just then.
    """

    @functools.wraps(test)
    def tried(chromium: Browser) -> None:
        for _ in range(3):
            lost.clear()
            try:
                return test(chromium)
            except (AssertionError, Error):
                if "net::ERR_NETWORK_CHANGED" not in lost:
                    raise
        return test(chromium)

    return tried


def fresh(chromium: Browser, viewport: ViewportSize = DESKTOP, scheme: Any = "light") -> BrowserContext:
    """Open a browser without cookies; it takes the lab's self-signed certificate."""
    context = chromium.new_context(ignore_https_errors=True, viewport=viewport, color_scheme=scheme)
    context.on("requestfailed", lambda request: lost.append(request.failure or ""))
    return context


def log_in(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto(f"http://{state.WEB_NAME}/")
    assert page.url == f"https://{state.WEB_NAME}/ox6/"
    page.get_by_label("User").fill(login.USER)
    page.get_by_label("Password").fill(login.password())
    page.get_by_role("button", name="Log in").click()
    page.locator("#answers li").first.wait_for()
    return page


def node_of(page: Page) -> str:
    """Return the node and route that the page shows."""
    return page.locator("#node").inner_text()


def ask_again(page: Page) -> str:
    answers = page.locator("#answers li")
    before = answers.count()
    page.get_by_role("button", name="Ask again").click()
    answers.nth(before).wait_for()
    return node_of(page)


@again_if_networks_changed
def test_two_people_log_in_on_different_nodes_and_each_stays_on_one(chromium: Browser) -> None:
    one, two = (log_in(fresh(chromium)) for _ in range(2))
    first, second = node_of(one), node_of(two)
    assert {first, second} == {"oxgw01, route OX-1", "oxgw02, route OX-2"}
    for _ in range(4):
        assert (ask_again(one), ask_again(two)) == (first, second)


@again_if_networks_changed
def test_wrong_password_is_told(chromium: Browser) -> None:
    page = fresh(chromium).new_page()
    page.goto(f"https://{state.WEB_NAME}/ox6/")
    page.get_by_label("User").fill(login.USER)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").wait_for()
    assert page.locator("#session").is_hidden()


@pytest.fixture(scope="module")
def healthy_page(cluster: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return status_page(tmp_path_factory.mktemp("status"))


def opened(chromium: Browser, file: Path, viewport: ViewportSize, scheme: str) -> tuple[Page, list[str]]:
    """Open a page; returns what the browser complained of, and what it asked for, too."""
    page = fresh(chromium, viewport, scheme).new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: trouble.append(request.url) if not request.url.startswith("file:") else None)
    page.goto(file.as_uri())
    return page, trouble


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_status_page_is_readable_and_quiet(
    chromium: Browser, healthy_page: Path, viewport: ViewportSize, scheme: str
) -> None:
    page, trouble = opened(chromium, healthy_page, viewport, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.evaluate("document.styleSheets.length") >= 1
    light, dark = (255, 255, 255), (0, 0, 0)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    shade = [int(float(part)) for part in background.removeprefix("rgb(").removesuffix(")").split(",")]
    near = light if scheme == "light" else dark
    assert all(abs(part - wanted) < 60 for part, wanted in zip(shade, near, strict=True)), background
    assert trouble == []


# Pairs of texts in the picture that run into each other, and how large the smallest one is on the screen.
TEXTS_OF_PICTURE = """() => {
    const texts = [...document.querySelectorAll(".picture text")].filter(text => text.textContent.trim());
    const found = texts.map(text => [text.textContent, text.getBoundingClientRect()]);
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
    const pairs = found.flatMap(([one, here], number) => found.slice(number + 1)
        .filter(([, there]) => meet(here, there)).map(([other]) => [one, other]));
    const picture = document.querySelector(".picture");
    const scale = picture.getBoundingClientRect().width / picture.viewBox.baseVal.width;
    const sizes = texts.map(text => parseFloat(getComputedStyle(text).fontSize) * scale);
    return {number: texts.length, pairs, smallest: Math.min(...sizes)};
}"""
FRAME = "document.querySelector('.scroll')"


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_picture_of_thirty_nodes_is_readable_in_its_frame(
    chromium: Browser, tmp_path: Path, viewport: ViewportSize
) -> None:
    file = tmp_path / "status.html"
    file.write_text(render_page(cluster_of_any_size(nodes=30, slaves=2), Changes(since=None, new=[], gone=[])))
    page, trouble = opened(chromium, file, viewport, "light")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    texts = page.evaluate(TEXTS_OF_PICTURE)
    assert texts["number"] > 30 * 8
    assert texts["pairs"] == []
    assert texts["smallest"] >= 9
    # What has no room is reached by scrolling in the frame, also with the keyboard.
    assert page.evaluate(f"{FRAME}.tabIndex") == 0
    hidden = page.evaluate(f"{FRAME}.scrollWidth - {FRAME}.clientWidth")
    assert hidden > 0 or viewport is DESKTOP
    assert page.evaluate(f"({FRAME}.scrollLeft = {hidden}, {FRAME}.scrollLeft)") == hidden
    assert trouble == []


def test_picture_shows_the_inventory(chromium: Browser, healthy_page: Path) -> None:
    page, _ = opened(chromium, healthy_page, DESKTOP, "light")
    shown = page.locator("svg [data-host]").evaluate_all(
        "boxes => boxes.map(box => [box.dataset.host, box.dataset.state])"
    )
    assert {tuple(box) for box in shown} == {(name, "fine") for name in state.load().nodes}
    arrows = page.locator("svg [data-kind]").evaluate_all(
        "arrows => arrows.map(arrow => [arrow.dataset.kind, arrow.dataset.source, arrow.dataset.target])"
    )
    found = {tuple(arrow) for arrow in arrows}
    groupware = [node.name for node in state.load().with_role("groupware")]
    assert {("balancing", "web", name) for name in groupware} <= found
    assert {("nfs", name, "dbmaster") for name in groupware} <= found
    assert ("replication", "dbmaster", "dbslave") in found


def test_what_is_wrong_is_in_the_picture_and_in_words(chromium: Browser, tmp_path: Path) -> None:
    run("dbslave", "mariadb -e 'STOP SLAVE'")
    try:
        page, trouble = opened(chromium, status_page(tmp_path), DESKTOP, "light")
        assert page.locator("svg [data-host=dbslave]").first.get_attribute("data-state") == "critical"
        assert page.get_by_text("replica stopped").first.is_visible()
        assert trouble == []
    finally:
        run("dbslave", "mariadb -e 'START SLAVE'")
        nodes.wait_for("dbslave", "mariadb -e 'SHOW SLAVE STATUS\\G' | grep -q 'Slave_IO_Running: Yes'")
