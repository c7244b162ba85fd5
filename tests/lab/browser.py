"""Logs in through the balancer as a person's browser does."""

from __future__ import annotations

import json
import ssl
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from tests.lab import login, state


class Browser:
    """A fresh browser with its own cookies. Trusts the lab's certificate only."""

    def __init__(self, web: str = "web", trusted: Path = state.TLS_CERTIFICATE, scheme: str = "https") -> None:
        self.scheme = scheme
        self.cookies = CookieJar()
        self.address = state.load().nodes[web].address
        context = ssl.create_default_context(cafile=str(trusted))
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.cookies), urllib.request.HTTPSHandler(context=context)
        )
        self.session = ""

    def request(self, path: str, data: dict[str, str] | bytes | None = None) -> str:
        body = urllib.parse.urlencode(data).encode() if isinstance(data, dict) else data
        with self._opener.open(f"{self.scheme}://{self.address}{path}", data=body, timeout=20) as answer:
            text: str = answer.read().decode()
        return text

    def ask(self, path: str, data: dict[str, str] | bytes | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.request(path, data))
        return answer

    def login(self, user: str = "testuser", password: str | None = None) -> dict[str, Any]:
        secret = password if password is not None else login.password(user)
        answer = self.ask("/ajax/login?action=login", {"name": user, "password": secret})
        self.session = answer.get("session", "")
        return answer

    def whoami(self) -> dict[str, Any]:
        data: dict[str, Any] = self.ask(f"/ajax/system?action=whoami&session={self.session}")["data"]
        return data

    @property
    def route(self) -> str:
        """Return what follows the last dot of the session cookie."""
        return next(cookie.value or "" for cookie in self.cookies if cookie.name == "JSESSIONID").rsplit(".", 1)[1]
