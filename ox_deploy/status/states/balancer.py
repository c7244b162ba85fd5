"""States of the web hosts: Apache, its members and its certificate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509

from ox_deploy.cluster import Node
from ox_deploy.facts.health import BalancerMember, Health
from ox_deploy.findings import Level
from ox_deploy.status.seen import Seen
from ox_deploy.status.states.base import Observation, Problem, idle_units, state

CERTIFICATE_WARNING, CERTIFICATE_CRITICAL = timedelta(days=21), timedelta(days=3)


@state(
    "balancer down",
    Level.CRITICAL,
    "run the deploy, which starts Apache; `apachectl configtest` and `journalctl -u apache2` there show its errors",
)
def balancer_down(observed: Observation) -> Iterator[Problem]:
    """Find web hosts whose Apache does not run, or does not balance."""
    for seen in observed.answering(observed.cluster.web):
        health = seen.health or Health()
        why = idle_units(seen.services.get("apache2"))
        if not why and health.members is None:
            why = f"the balancer could not be asked ({health.balancer_error or 'without an error'})"
        if why:
            yield Problem(seen.node, why, "Apache runs and balances sessions over the groupware nodes")


@state(
    "site not served",
    Level.CRITICAL,
    "run the deploy, which has Apache use its files; if another site has the address for itself, take that site away "
    "or write `*` instead of the address in its `<VirtualHost>`; `apachectl -S` there lists all sites",
)
def site_not_served(observed: Observation) -> Iterator[Problem]:
    """Find web hosts where users do not get our site under its name, or not with its certificate."""
    for seen in observed.answering(observed.cluster.web):
        if seen.health and seen.health.site_error:
            yield Problem(seen.node, seen.health.site_error, "the site answers at its address, with its certificate")


@state(
    "balancer member disabled",
    Level.WARNING,
    "enable it at https://127.0.0.1/balancer-manager on the web host, or reload Apache there, unless somebody is "
    "working on it",
)
def balancer_member_disabled(observed: Observation) -> Iterator[Problem]:
    """Find nodes that a balancer was told to leave out."""
    for seen, node, member in _members(observed):
        if member and member.disabled:
            yield Problem(
                seen.node, f"{node.name} (route {node.route}) is disabled", "it gets sessions", about=node.name
            )


@state(
    "balancer member in error",
    Level.CRITICAL,
    "check whether a firewall or the network keeps the web host from the node; the balancer tries again with the "
    "next request",
)
def balancer_member_in_error(observed: Observation) -> Iterator[Problem]:
    """Find nodes that a balancer could not reach."""
    for seen, node, member in _members(observed):
        if member and member.error:
            yield Problem(
                seen.node,
                f"{node.name} (route {node.route}, {member.url}) is in error: Apache could not reach it",
                "it gets sessions",
                about=node.name,
            )


@state("balancer member missing", Level.CRITICAL, "run the deploy, which writes all nodes into Apache's configuration")
def balancer_member_missing(observed: Observation) -> Iterator[Problem]:
    """Find nodes that a balancer does not know."""
    for seen, node, member in _members(observed):
        if member is None:
            yield Problem(
                seen.node,
                f"{node.name} (route {node.route}, {node.address}) is not among the balancer's members",
                "every groupware node is one, with its route",
                about=node.name,
            )


@state(
    "certificate expiring",
    Level.WARNING,
    "get a new one, put it and its key where `web_certificate` and `web_certificate_key` say, and run the deploy",
)
def certificate_expiring(observed: Observation) -> Iterator[Problem]:
    """Find web hosts whose certificate ends soon, or has ended."""
    now = datetime.fromtimestamp(observed.clock, UTC)
    for seen in observed.answering(observed.cluster.web):
        certificate = certificate_of(seen)
        left = certificate.not_valid_after_utc - now if certificate else CERTIFICATE_WARNING
        if certificate and left < CERTIFICATE_WARNING:
            day = certificate.not_valid_after_utc.date()
            yield Problem(
                seen.node,
                f"it expires on {day}, in {left.days} days" if left > timedelta(0) else f"it expired on {day}",
                f"it is valid for {CERTIFICATE_WARNING.days} days or more",
                level=Level.CRITICAL if left < CERTIFICATE_CRITICAL else Level.WARNING,
            )


@state(
    "certificate not yet valid",
    Level.CRITICAL,
    "put one that is valid now where `web_certificate` says and run the deploy; if its start date is right, correct "
    "the clock",
)
def certificate_not_yet_valid(observed: Observation) -> Iterator[Problem]:
    """Find web hosts whose certificate begins later: no browser takes it before."""
    now = datetime.fromtimestamp(observed.clock, UTC)
    for seen in observed.answering(observed.cluster.web):
        certificate = certificate_of(seen)
        if certificate and certificate.not_valid_before_utc > now:
            begins = certificate.not_valid_before_utc
            yield Problem(seen.node, f"it is not valid before {begins:%Y-%m-%d %H:%M} UTC", "it is valid now")


@state(
    "certificate unreadable",
    Level.WARNING,
    "make sure that `web_certificate` names a certificate in PEM format, and run the deploy, which puts it there",
)
def certificate_unreadable(observed: Observation) -> Iterator[Problem]:
    """Find web hosts without a certificate."""
    for seen in observed.answering(observed.cluster.web):
        if seen.health and certificate_of(seen) is None:
            there = seen.health.certificate is not None
            found = "the file in its place is not a certificate in PEM format" if there else "there is no certificate"
            yield Problem(seen.node, found, "the certificate of the web host is in place")


def member_of(seen: Seen, node: Node) -> BalancerMember | None:
    """Return what the balancer of a web host thinks of a node; it has to have the node's address and route."""
    members = (seen.health.members if seen.health else None) or []
    wanted = (node.address, node.route)
    return next((member for member in members if (urlsplit(member.url).hostname, member.route) == wanted), None)


def _members(observed: Observation) -> Iterator[tuple[Seen, Node, BalancerMember | None]]:
    """Return every node as every balancer that could be asked sees it."""
    for seen in observed.answering(observed.cluster.web):
        if seen.health and seen.health.members is not None:
            for node in observed.cluster.groupware:
                yield seen, node, member_of(seen, node)


def certificate_of(seen: Seen) -> x509.Certificate | None:
    """Return the certificate of a web host, the first one in its file."""
    try:
        return x509.load_pem_x509_certificate(((seen.health or Health()).certificate or "").encode())
    except ValueError:
        return None
