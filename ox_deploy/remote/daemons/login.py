"""The login of somebody who does not exist, and what the answer says of the daemon.

It has to look for the context in configdb and for the user in the context's database before it can say that it does not
know them. Nobody's password is needed, and nobody is locked out. How it is sent is the product's matter.
"""

from __future__ import annotations

import http.client
import json
import secrets
import urllib.parse

PATH, QUERY = "/ajax/login", "action=login"
# What Open-Xchange says of a user's mistake, be it by its code (invalid credentials) or by its category. Other codes of
# the login are its own trouble, such as a missing service or database.
INVALID_CREDENTIALS, USER_INPUT = "LGI-0006", 1


def form_of_nobody(context: str | None) -> bytes:
    """Return the form for a login in a context (None: the default one)."""
    name = "ox-deploy-" + secrets.token_hex(8) + ("@" + context if context else "")
    return urllib.parse.urlencode({"name": name, "password": secrets.token_hex(16)}).encode()


def problem_in(status: int, body: str) -> str | None:
    """Return what is wrong with who answers so, or None."""
    if status != http.client.OK:
        return f"a login is answered with {status}"
    try:
        answer = json.loads(body)
        works = answer["code"] == INVALID_CREDENTIALS or answer.get("category") == USER_INPUT
    except (ValueError, KeyError, TypeError, AttributeError):
        return "a login is answered by something other than Open-Xchange"
    return None if works else "a login is answered with {}: {}".format(answer["code"], answer.get("error", ""))
