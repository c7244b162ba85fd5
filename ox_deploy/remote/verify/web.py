"""Print what a web host answers without a login, and the routes that its balancer is configured with."""

from __future__ import annotations

import http.client
import re
import ssl

from ox_deploy.remote.common.types import Document
from ox_deploy.remote.verify.common import attempt
from ox_deploy.remote.verify.https import HTTP_PORT, SECONDS, open_https, trusting

# Such as `BalancerMember http://192.0.2.11:8080 retry=5 route=OX-1`.
MEMBER = re.compile(r"^\s*BalancerMember\s+\w+://([^:/\s]+)\S*\s(?:.*\s)?route=(\S+)", re.MULTILINE)


def verify_web(job: Document) -> Document:
    """Return all of it; what cannot be found out does not hide the rest."""
    return {
        "redirect": attempt(redirect_of, job),
        "certificate": attempt(show_certificate, job),
        "balancer": attempt(routes_of, job),
    }


def redirect_of(job: Document) -> Document:
    """Return where plain HTTP is sent to."""
    connection = http.client.HTTPConnection(job["address"], HTTP_PORT, timeout=SECONDS)
    connection.request("GET", "/", headers={"Host": job["web_name"], "Connection": "close"})
    answer = connection.getresponse()
    connection.close()
    return {"status": answer.status, "location": answer.headers.get("Location", "")}


def show_certificate(job: Document) -> Document:
    """Have HTTPS show its certificate, which has to be the deployed one."""
    try:
        open_https(job, trusting(job["certificate"])).close()
    except ssl.SSLCertVerificationError as error:
        return {"refused": error.verify_message}
    return {}


def routes_of(job: Document) -> Document:
    """Return the route of each member by its address."""
    with open(job["site"]) as file:
        return {"routes": dict(MEMBER.findall(file.read()))}
