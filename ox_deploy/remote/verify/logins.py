"""Log in through the balancer many times as fresh browsers do, and out again.

The first login fails alone if nobody can log in, so that a wrong password is tried
once only.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import http.cookies
import json
import ssl
import time
import urllib.parse

from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.verify.common import attempt
from ox_deploy.remote.verify.https import open_https, trusting

# How long the logins may take altogether, and how many there are at once.
ALL_SECONDS = 40
AT_ONCE = 4
NO_SESSION = "SES-"


def verify_logins(job: Document) -> Document:
    """Do it."""
    return attempt(log_in_often, job)


class Browser:
    """A fresh browser with its own cookies."""

    def __init__(self, job: Document, context: ssl.SSLContext) -> None:
        self.job, self.context = job, context
        self.cookies: dict[str, str] = {}

    def send(self, address: str, form: dict[str, str] | None = None) -> str:
        """Return the text of an answer; keep its cookies."""
        headers = {"Host": self.job["web_name"], "Connection": "close", "User-Agent": "ox-deploy"}
        if self.cookies:
            headers["Cookie"] = "; ".join("{}={}".format(*cookie) for cookie in self.cookies.items())
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        with open_https(self.job, self.context) as tls:
            connection = http.client.HTTPConnection(self.job["web_name"])
            connection.sock = tls
            body = urllib.parse.urlencode(form) if form else None
            connection.request("POST" if form else "GET", address, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        for line in answer.headers.get_all("Set-Cookie", []):
            self.cookies.update({name: cookie.value for name, cookie in http.cookies.SimpleCookie(line).items()})
        if answer.status != 200:
            raise RuntimeError("{} is answered with {} {}".format(address.split("?")[0], answer.status, answer.reason))
        return text

    def ask(self, address: str, form: dict[str, str] | None = None) -> Document:
        """Return an answer that is one JSON object."""
        text = self.send(address, form)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise RuntimeError("{} is not answered in JSON".format(address.split("?")[0]))
        return answer

    def route(self) -> str:
        """Return what follows the last dot of the session cookie."""
        return self.cookies.get("JSESSIONID", "").rpartition(".")[2]


def visit(browser: Browser, requests: int) -> tuple[str, int]:
    """Log in, send some requests, log out; return the route, and how many requests another node answered."""
    answer = browser.ask(
        browser.job["addresses"]["login"], {"name": browser.job["login"], "password": browser.job["password"]}
    )
    if "session" not in answer:
        raise RuntimeError(answer.get("error") or "the login is answered without a session")
    session, route = answer["session"], browser.route()
    try:
        moved = sum(is_elsewhere(browser, session, route) for _ in range(requests))
    finally:
        browser.send(browser.job["addresses"]["logout"].format(session))
    return route, moved


def is_elsewhere(browser: Browser, session: Session, route: str) -> bool:
    """Tell whether a request is answered by a node that does not know the session."""
    answer = browser.ask(browser.job["addresses"]["request"].format(session))
    return str(answer.get("code", "")).startswith(NO_SESSION) or browser.route() != route


def log_in_often(job: Document) -> Document:
    """Return the number of logins by route, the failures by what was said, and how many requests strayed.

    The first session sends some requests, each further one only one: every node has to know its own.
    """
    context = trusting(job["certificate"])
    deadline = time.monotonic() + ALL_SECONDS
    route, moved = visit(Browser(job, context), job["requests"])
    routes, failures = {route: 1}, dict[str, int]()

    def once_more(_: object) -> tuple[dict[str, int], str, int]:
        if time.monotonic() > deadline:
            return failures, "there was no time left", 0
        try:
            return routes, *visit(Browser(job, context), 1)
        except Exception as error:
            return failures, str(error) or type(error).__name__, 0

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
        for counts, key, strayed in threads.map(once_more, range(job["count"] - 1)):
            counts[key] = counts.get(key, 0) + 1
            moved += strayed
    asked = job["requests"] + sum(routes.values()) - 1
    return {"routes": routes, "failures": failures, "moved": moved, "requests": asked}
