"""Guide: Test Session load balancing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand

from ox_deploy.facts.verify import FrontEnd, LoginTrial, WebHost
from ox_deploy.findings import Finding, Level
from ox_deploy.operations.openxchange.wanted import SessionAddresses
from ox_deploy.operations.verify.checks import (
    CouldNotRun,
    Verdict,
    answer_or_fail,
    check,
    passed,
    problem,
    trial_or_fail,
)
from ox_deploy.questions.program import secret_question
from ox_deploy.questions.pyinfra_internals import run_in_operation
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import current_run
from ox_deploy.secrets import Secret

CERTIFICATE = "HTTPS shows the deployed certificate"
SPREADS = "Logins spread over the nodes by their load factors"
LOGINS_PER_NODE, FEWEST, MOST = 10, 20, 100
# Further requests of the first session; each other one sends one.
REQUESTS = 5


@dataclass(frozen=True)
class WantedMember:
    """A node as the balancer knows it."""

    name: str
    route: str
    load_factor: int


@dataclass(frozen=True)
class Login:
    """Somebody to log in as; `name` is `user@context`."""

    name: str
    password: Secret


def _question(address: str, web_name: str, certificate: str, site: str) -> Question[FrontEnd]:
    return Question(WebHost, address=address, web_name=web_name, certificate=certificate, site=site)


@check("Plain HTTP is redirected to HTTPS", asks=_question)
def redirects(address: str, web_name: str, certificate: str, site: str) -> Verdict:
    """
    Check where a request without HTTPS is sent to.

    + address: the web host's address, at which it asks itself
    + web_name: the name that users know
    + certificate: file on the host with the certificate that HTTPS should show
    + site: file on the host with the balancer's configuration
    """
    trial = trial_or_fail(answer_or_fail(_question(address, web_name, certificate, site)).redirect)
    found = f"{trial.status} {trial.location}".rstrip()
    wanted = f"https://{web_name}/"
    if trial.status in (301, 302) and trial.location.startswith(wanted):
        return Verdict(found)
    remedy = "find out which Apache site answers (`apachectl -S`), and deploy"
    return Verdict(findings=[problem("HTTP not redirected", found, f"301 {wanted}", remedy)])


@check(CERTIFICATE, asks=_question)
def certified(address: str, web_name: str, certificate: str, site: str) -> Verdict:
    """
    Check that HTTPS shows the certificate that was deployed, for the name that users know, and still valid.

    + address, web_name, certificate, site: as for `redirects`
    """
    refused = trial_or_fail(answer_or_fail(_question(address, web_name, certificate, site)).certificate).refused
    if not refused:
        return Verdict(web_name)
    wanted = f"the certificate of {certificate}, valid for {web_name}"
    remedy = "run `systemctl reload apache2`; if that does not help, renew `web_certificate` and deploy"
    return Verdict(findings=[problem("certificate refused", refused, wanted, remedy)])


@check(SPREADS)
def spreads(
    address: str,
    web_name: str,
    certificate: str,
    login: Login | None,
    members: Sequence[WantedMember],
    addresses: SessionAddresses,
) -> Verdict:
    """
    Log in many times through the balancer, each time as a fresh browser, and count the nodes.

    + address, web_name, certificate: as for `redirects`
    + login: whom to log in as, None if there is nobody
    + members: the nodes
    + addresses: where a session is begun, used and ended

    Every session is logged out again. The password goes by standard input.
    """
    if login is None:
        return Verdict(findings=[_nobody()])
    if not passed(CERTIFICATE):
        return Verdict(skipped="a password is sent to the deployed certificate only")
    job = {
        "address": address,
        "web_name": web_name,
        "certificate": certificate,
        "login": login.name,
        "password": login.password.reveal(),
        "addresses": asdict(addresses),
        "count": max(FEWEST, min(MOST, LOGINS_PER_NODE * len(members))),
        "requests": REQUESTS,
    }
    trial = LoginTrial.model_validate(_run(secret_question("verify_logins", job)))
    if trial.error:
        return Verdict(findings=[_failed(f"the login as {login.name} fails: {trial.error}")])
    current_run().login_trials[host.name] = trial
    failures = [_failed(f"{count} logins as {login.name} fail: {said}") for said, count in trial.failures.items()]
    return Verdict(
        _shown(members, trial.routes), [*failures, *_unknown(members, trial.routes), *uneven(members, trial)]
    )


def _run(command: StringCommand) -> Any:
    """Run a command in the way the operation is told to (sudo and the like) and return the JSON that it printed."""
    ok, output = run_in_operation(host, command)
    if not ok:
        raise CouldNotRun(
            output.stderr_lines[-1] if output.stderr_lines else "the program failed without an error message"
        )
    return json.loads(output.stdout)


def _nobody() -> Finding:
    return problem(
        "nobody to log in as",
        found="`contexts` of group data has no user, so logins and sessions were not tried",
        wanted="a user to log in with for a test",
        remedy="add one to `contexts` and deploy",
        level=Level.WARNING,
    )


def _failed(found: str) -> Finding:
    remedy = (
        "if it is the password, correct it in the secrets or with `changeuser`; otherwise check the daemons, "
        "`/balancer-manager` on the web host, and the nodes' open-xchange.log.0"
    )
    return problem("login fails", found, "every login opens a session", remedy)


def _shown(members: Sequence[WantedMember], routes: Mapping[str, int]) -> str:
    counted = ", ".join(f"{member.name} {routes.get(member.route, 0)}" for member in members)
    return f"{sum(routes.values())} logins: {counted}"


def _unknown(members: Sequence[WantedMember], routes: Mapping[str, int]) -> list[Finding]:
    known = {member.route for member in members}
    wanted = f"one of {', '.join(sorted(known))}"
    remedy = "deploy the node that has this route, or take it out of the balancer"
    return [
        problem("session cookie with another route", f"JSESSIONID ends in {route or 'no route'}", wanted, remedy)
        for route in routes
        if route not in known
    ]


def uneven(members: Sequence[WantedMember], trial: LoginTrial) -> list[Finding]:
    """Return a finding for each node whose number of logins its load factor does not explain.

    That is one that is more than four standard deviations, and one, away from what is expected; or none at all where
    five or more are expected.
    """
    counts = {member: trial.routes.get(member.route, 0) for member in members}
    total, factors = sum(counts.values()), sum(member.load_factor for member in members)
    findings = []
    for member, count in counts.items():
        share = member.load_factor / factors
        expected, deviation = total * share, (total * share * (1 - share)) ** 0.5
        if abs(count - expected) > 4 * deviation + 1 or (count == 0 and expected >= 5):
            findings.append(_uneven(member, count, total, expected))
    return findings


def _uneven(member: WantedMember, count: int, total: int, expected: float) -> Finding:
    found = f"{member.name} ({member.route}) gets {count} of {total} logins"
    remedy = "check `/balancer-manager` on the web host (is the node disabled or in error?) and the daemons of the node"
    return problem("sessions spread unevenly", found, f"about {expected:.0f}", remedy)


@check("A session stays on its node")
def stays(route_key: str) -> Verdict:
    """
    Check that the further requests of a session went to its node; `spreads`, which comes before, sent them.

    + route_key: what a node's route is called in its configuration
    """
    trial = current_run().login_trials.pop(host.name, None)
    if trial is None:
        return Verdict(skipped="nobody could log in")
    if not trial.moved:
        return Verdict(f"{trial.requests} requests")
    found = f"{trial.moved} of {trial.requests} requests of sessions were answered by another node"
    remedy = f"compare `stickysession` and the routes in the balancer's configuration with {route_key}, and deploy"
    return Verdict(findings=[problem("session moves", found, "all go to the node of the login", remedy)])
