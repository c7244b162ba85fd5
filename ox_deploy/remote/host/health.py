"""Print whether this host is well: clock, disks, the certificate in place, and the balancer's members."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import pathlib
import re
import ssl
import time
from typing import Literal
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ox_deploy.remote.common.commands import run_for
from ox_deploy.remote.common.files import read
from ox_deploy.remote.common.lease import held_lease
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.host.file_systems import separate_places
from ox_deploy.remote.service.probe import ask_site

# How long Apache is waited for, and a disk.
SECONDS, DISK_SECONDS = 3, 2
# A key in the same file is no match.
CERTIFICATE = r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\n?"
# The site lets only this host in there.
PORT, MANAGER = 443, "https://127.0.0.1/balancer-manager"
NAMES = {"httpd": "http://httpd.apache.org"}


def host_health(wanted: Document) -> Document:
    """Return all of it."""
    members, error = balancer_of(wanted["balancer"]) if wanted["balancer"] else (None, "")
    return {
        "time": time.time(),
        "lease": held_lease(),
        "disks": disks_of(places_in(wanted)),
        "certificate": certificates_in(wanted["certificate"]) if wanted["certificate"] else None,
        "members": members,
        "balancer_error": error,
        # One that does not answer as a balancer is down already.
        "site_error": ask_site(wanted["site"]) or "" if wanted["site"] and members is not None else "",
    }


def places_in(wanted: Document) -> list[str]:
    """Return the directories whose file systems are to be looked at."""
    database: str | Literal[False] | None = wanted["database"]["option_file"] if wanted["database"] else False
    known: list[str] = wanted["disks"]
    return known + separate_places(wanted["disks"], wanted["places"], wanted["units"], database)


def disks_of(paths: list[str]) -> list[Document]:
    """Return the file systems of paths, all asked at once, without those that do not answer."""
    with concurrent.futures.ThreadPoolExecutor(len(paths) or 1) as pool:
        return [disk for disk in pool.map(disk_of, paths) if disk]


def disk_of(path: str) -> Document | None:
    """Return the file system of a path, or of its nearest parent that exists; None if it does not answer."""
    for place in (path, *map(str, pathlib.PurePath(path).parents)):
        done = run_for(DISK_SECONDS, ["env", "LC_ALL=C", "stat", "-f", "-c", "%S %b %a", place])
        if done and done.stdout:
            block, blocks, free = map(int, done.stdout.split())
            return {"path": path, "size": blocks * block, "free": free * block}
        if done is None or "No such file" not in done.stderr:
            break
    return None


def certificates_in(path: str) -> str | None:
    """Return the certificates of a PEM file and nothing else of it, or None if there is no such file."""
    data = read(path)
    return None if data is None else "".join(re.findall(CERTIFICATE, data.decode(errors="replace")))


def balancer_of(name: str) -> tuple[list[Document] | None, str]:
    """Return the members of a balancer, or None and why they are not known."""
    try:
        # What Apache on this host says.
        document = ElementTree.fromstring(manager_page())  # noqa: S314 - this host's Apache
    except ElementTree.ParseError:
        return None, f"{MANAGER} does not answer in XML"
    except (OSError, http.client.HTTPException) as error:
        return None, f"{MANAGER} does not answer: {error}"
    for balancer in document.iterfind("httpd:balancers/httpd:balancer", NAMES):
        if text_of(balancer, "name") == "balancer://" + name:
            return [member_of(worker) for worker in balancer.iterfind("httpd:workers/httpd:worker", NAMES)], ""
    return None, f"{MANAGER} shows no balancer {name}"


def manager_page() -> bytes:
    """Return what Apache's balancer-manager on this host says, as XML."""
    # We talk to ourselves, and the certificate is for another name.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", PORT, timeout=SECONDS, context=context)) as apache:
        # Without a referer of its own site Apache ignores the query and answers in HTML.
        apache.request("GET", "/balancer-manager?xml=1", headers={"Host": "127.0.0.1", "Referer": MANAGER})
        answer = apache.getresponse()
        if answer.status != http.client.OK:
            raise http.client.HTTPException(f"{answer.status} {answer.reason}")
        return answer.read()


def member_of(worker: Element) -> Document:
    """Return one member; Apache's own name for it lacks the port if that is the usual one."""
    states = set(text_of(worker, "status").split())
    return {
        "url": "{}://{}:{}".format(*(text_of(worker, name) for name in ("scheme", "hostname", "port"))),
        "route": text_of(worker, "route"),
        # Such as 50.00, since Apache knows hundredths.
        "factor": round(float(text_of(worker, "loadfactor"))),
        "disabled": not states.isdisjoint({"Dis", "Drn", "Stop"}),
        "error": not states.isdisjoint({"Err", "HcFl"}),
    }


def text_of(element: Element, name: str) -> str:
    """Return the text of the first child of this name."""
    return element.findtext("httpd:" + name, "", NAMES)
