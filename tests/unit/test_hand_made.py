"""What somebody made by hand is found by what it does, taken out of the way, and kept; all else stays as it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ox_deploy.facts.service import HandMade
from ox_deploy.operations.service import configure_job
from ox_deploy.remote.hand_made import find
from ox_deploy.remote.service import configure as service_configure
from tests.unit.programs import Commands, altered, shown, under_test

NODES = ["192.0.2.11", "192.0.2.12", "oxgw01", "oxgw02"]
PROXY = """<IfModule mod_proxy_ajp.c>
  <Proxy *>
    Require all granted
  </Proxy>
  <Proxy balancer://cluster>
    BalancerMember ajp://192.0.2.11:8009 route=OX-1
    BalancerMember ajp://oxgw02:8009 route=OX-2
  </Proxy>
  ProxyPass /ajax balancer://cluster/ajax stickysession=JSESSIONID
</IfModule>
"""
OTHER_SITE = """<VirtualHost *:443>
    ServerName mail.example.com
    ProxyPass /ajax balancer://cluster/ajax
    ProxyPass /mail http://192.0.2.110/
</VirtualHost>
"""
STANZA = "Types: deb\nURIs: http://repo.example.com/OX6\nSuites: ./\n"
GANESHA = """NFSv4 { Graceless = true; }
EXPORT {
    Export_Id = 77;
    Path = /srv/ox;
    FSAL { Name = VFS; }
}
EXPORT { Export_Id = 5; Path = /srv/oxen; FSAL { Name = VFS; } }
"""
UNIT = "[Service]\nType=oneshot\nExecStart=/sbin/ip route add 224.0.0.0/8 dev eth0\n"
APACHE = {"nodes": NODES, "port": 8009, "ours": []}
APT = {"url": "http://repo.example.com/OX6/", "ours": "/ours"}
FSTAB = {"path": "/srv/ox", "source": "192.0.2.21:/srv/ox"}
ROUTE = {"network": "224.0.0.0/8", "ours": "ox-multicast-route.service"}
KERNEL = {"path": "/srv/ox", "ours": "/ours"}

# By case: kind, what is looked for, the files, and what is found: the file with the numbers of its lines.
CASES: dict[str, tuple[str, dict[str, Any], dict[str, str], list[str]]] = {
    "a balancer alone in its file": ("apache", APACHE, {"apache2/conf-enabled/p.conf": PROXY}, ["conf-enabled/p.conf"]),
    "a balancer among other things": (
        "apache",
        APACHE,
        {"apache2/conf-enabled/p.conf": PROXY + "Header set X-A b\n"},
        ["conf-enabled/p.conf:5-9"],
    ),
    "a site that sends a path to a balancer elsewhere": (
        "apache",
        APACHE,
        {"apache2/conf-enabled/p.conf": PROXY, "apache2/sites-enabled/mail.conf": OTHER_SITE},
        ["conf-enabled/p.conf", "sites-enabled/mail.conf:3"],
    ),
    "a balancer of others": (
        "apache",
        APACHE,
        {"apache2/conf-enabled/p.conf": PROXY.replace("192.0.2.11:", "192.0.2.111:").replace("oxgw02", "oxgw021")},
        [],
    ),
    "a balancer that is commented out": (
        "apache",
        APACHE,
        {"apache2/apache2.conf": "".join(f"# {line}\n" for line in PROXY.splitlines())},
        [],
    ),
    "a node without a balancer": (
        "apache",
        APACHE,
        {
            "apache2/apache2.conf": "Listen 80\nProxyPass /ajax ajp://oxgw01:8009/ajax\n"
            "ProxyPass /metrics http://oxgw01:9100/metrics\nProxyPass /b ajp://oxgw011:8009/b\n"
        },
        ["apache2.conf:2"],
    ),
    "a source in one line": (
        "apt",
        APT,
        {"apt/sources.list.d/ox.list": "# Open-Xchange\ndeb [signed-by=/k] http://repo.example.com/OX6 ./\n"},
        ["sources.list.d/ox.list"],
    ),
    "a source among others": (
        "apt",
        APT,
        {"apt/sources.list": "deb http://deb.example.com/ a b\ndeb http://repo.example.com/OX6/ ./\n"},
        ["sources.list:2"],
    ),
    "a source in a stanza": (
        "apt",
        APT,
        {"apt/sources.list.d/x.sources": STANZA.replace("/OX6", "") + "\n" + STANZA},
        ["x.sources:5-7"],
    ),
    "a source in a stanza that is commented out": (
        "apt",
        APT,
        {"apt/sources.list.d/x.sources": "".join(f"# {line}\n" for line in STANZA.splitlines())},
        [],
    ),
    "a mount by address, by name, and one of others": (
        "fstab",
        FSTAB,
        {
            "fstab": "192.0.2.21:/srv/ox /srv/ox nfs defaults 0 0\n192.0.2.22:/srv/ox /srv/ox nfs defaults 0 0\n"
            "192.0.2.21:/srv/ox/ /srv/ox/ nfs4 defaults 0 0\n192.0.2.21:/srv/ox /mnt nfs defaults 0 0\n"
        },
        ["fstab:1, 3"],
    ),
    "our own mount": (
        "fstab",
        FSTAB,
        {
            "fstab": "# BEGIN ox-deploy filestore\n192.0.2.21:/srv/ox /srv/ox nfs rw 0 0\n# END ox-deploy filestore\n"
            "192.0.2.21:/srv/ox /srv/ox nfs defaults 0 0\n"
        },
        ["fstab:4"],
    ),
    "an export of the kernel over two lines": (
        "kernel",
        KERNEL,
        {"exports": "/home *(ro)\n/srv/ox 192.0.2.11(rw) \\\n  192.0.2.12(rw)\n/srv/oxen *(ro)\n"},
        ["exports:2-3"],
    ),
    "an export of ganesha": (
        "ganesha",
        {"path": "/srv/ox", "main": "ETC/ganesha/ganesha.conf", "ours": "/ours", "number": 6610},
        {"ganesha/ganesha.conf": GANESHA},
        ["ganesha.conf:2-6"],
    ),
    "a unit for the route, and one that does more": (
        "route",
        ROUTE,
        {
            "systemd/system/mc.service": UNIT,
            "systemd/system/multi-user.target.wants/mc.service": UNIT,
            "systemd/system/ox-multicast-route.service": UNIT,
            "systemd/system/net.service": UNIT + "ExecStart=/sbin/ip route add 10.0.0.0/8 dev eth0\n",
        },
        ["system/mc.service", "multi-user.target.wants/mc.service"],
    ),
    "a route of an interface": (
        "route",
        ROUTE,
        {
            "network/interfaces": "iface eth0 inet static\n"
            "  post-up route add -net 224.0.0.0 netmask 255.0.0.0 dev eth0\n"
            "  post-up route add -net 224.0.0.01 dev eth0\n"
        },
        ["interfaces:2"],
    ),
}


def write(etc: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        (etc / name).write_text(text)


def found(etc: Path, kind: str, wanted: dict[str, Any]) -> list[HandMade]:
    program = under_test(find)
    program.ETC, program.KEPT = str(etc), f"{etc.parent}/before"
    asked = {
        name: value.replace("ETC", str(etc)) if isinstance(value, str) else value for name, value in wanted.items()
    }
    return [HandMade(**part) for part in program.hand_made({kind: asked})]


@pytest.mark.parametrize(("kind", "wanted", "files", "places"), CASES.values(), ids=CASES)
def test_what_does_the_same_is_found_and_nothing_else(
    tmp_path: Path, kind: str, wanted: dict[str, Any], files: dict[str, str], places: list[str]
) -> None:
    write(tmp_path, files)
    parts = found(tmp_path, kind, wanted)
    assert len(parts) == len(places), parts
    for part, place in zip(parts, places, strict=True):
        assert part.place.endswith("/" + place)


@pytest.mark.parametrize("case", [name for name, (*_, places) in CASES.items() if places])
def test_what_was_taken_over_is_found_no_more(tmp_path: Path, case: str) -> None:
    kind, wanted, files, _ = CASES[case]
    write(tmp_path / "etc", files)
    texts = {path: path.read_text() for path in (tmp_path / "etc").rglob("*") if path.is_file()}
    parts = found(tmp_path / "etc", kind, wanted)
    taking_over(tmp_path).service_configure(configure_job("x", [], ["x"], hand_made=parts))
    assert found(tmp_path / "etc", kind, wanted) == []
    kept = {part.path: Path(f"{tmp_path}/before{part.path}").read_text() for part in parts}
    assert kept == {part.path: texts[Path(part.path)] for part in parts}
    others = {path: text for path, text in texts.items() if str(path) not in kept}
    assert {path: path.read_text() for path in others} == others


def taking_over(tmp_path: Path, **answers: Any) -> Any:
    program = under_test(service_configure)
    program.STATE_DIRECTORY = str(tmp_path / "state")
    program.os = altered(os, chown=lambda *_, **__: None, fchown=lambda *_: None)
    program.run = Commands({**answers, "systemctl show": shown("x")})
    return program


def test_service_that_refuses_has_what_was_made_by_hand_again(tmp_path: Path) -> None:
    link, file = tmp_path / "etc/apache2/conf-enabled/p.conf", tmp_path / "etc/apache2/conf-available/p.conf"
    site = tmp_path / "etc/apache2/sites-enabled/mail.conf"
    write(tmp_path / "etc", {"apache2/conf-available/p.conf": PROXY, "apache2/sites-enabled/mail.conf": OTHER_SITE})
    link.parent.mkdir()
    link.symlink_to("../conf-available/p.conf")
    parts = found(tmp_path / "etc", "apache", APACHE)
    program = taking_over(tmp_path, **{"apachectl": 1})
    assert [part.path for part in parts] == [str(link), str(site)]
    with pytest.raises(SystemExit):
        program.service_configure(configure_job("x", [], ["x"], check=["apachectl"], hand_made=parts))
    assert (link.readlink(), file.read_text(), site.read_text()) == (
        Path("../conf-available/p.conf"),
        PROXY,
        OTHER_SITE,
    )


def test_no_copy_of_an_earlier_time_is_replaced(tmp_path: Path) -> None:
    source = "apt/sources.list.d/ox.list"
    texts = [f"deb http://repo.example.com/OX6 {suite}\n" for suite in ("./", "./", "stable main")]
    for text in texts:
        write(tmp_path / "etc", {source: text})
        parts = found(tmp_path / "etc", "apt", APT)
        taking_over(tmp_path).service_configure(configure_job("x", [], ["x"], hand_made=parts))
        assert Path(parts[0].copy).read_text() == text
    assert [path.name for path in sorted(tmp_path.glob("before*"))] == ["before", "before.1"]


def test_file_that_was_changed_since_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {"fstab": "192.0.2.21:/srv/ox /srv/ox nfs defaults 0 0\n"})
    parts = found(tmp_path, "fstab", FSTAB)
    write(tmp_path, {"fstab": "# mine\n"})
    with pytest.raises(SystemExit):
        taking_over(tmp_path).service_configure(configure_job("x", [], ["x"], hand_made=parts))
    assert "was changed while this run looked; nothing was changed here; run again" in capsys.readouterr().err
    assert (tmp_path / "fstab").read_text() == "# mine\n"


KEPT_VALUES: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "the number of an export of ganesha": (
        "ganesha",
        {"ganesha/ganesha.conf": GANESHA},
        {"Export_Id = 6610;": "Export_Id = 77;"},
    ),
    "the number in our own file": (
        "ganesha",
        {"ganesha/ox-deploy.conf": GANESHA},
        {"Export_Id = 6610;": "Export_Id = 77;"},
    ),
    "no export": ("ganesha", {}, {}),
    "the number of a file system": (
        "kernel",
        {"exports": "/srv/ox *(rw,fsid=9,sync)\n"},
        {"(rw,sync,": "(rw,sync,fsid=9,"},
    ),
    "no number of a file system": ("kernel", {"exports": "/srv/ox *(rw)\n/srv/oxen *(rw,fsid=9)\n"}, {}),
}


@pytest.mark.parametrize(("kind", "files", "kept"), KEPT_VALUES.values(), ids=KEPT_VALUES)
def test_handles_of_clients_stay_valid(tmp_path: Path, kind: str, files: dict[str, str], kept: dict[str, str]) -> None:
    write(tmp_path, files)
    program = under_test(find)
    program.ETC = str(tmp_path)
    folder = f"{tmp_path}/ganesha"
    wanted = {"path": "/srv/ox", "main": f"{folder}/ganesha.conf", "ours": f"{folder}/ox-deploy.conf", "number": 6610}
    assert program.kept_values({kind: wanted}) == kept


MY_CNF = "[client]\nserver-id = 9\n!includedir {etc}/conf.d\n[mysqld]\nbind-address = 0.0.0.0\nserver_id=1\nport=3307\n"


@pytest.mark.parametrize(("is_ours_there", "lines"), [(False, [[5, 5]]), (True, None)])
def test_options_read_after_ours_are_taken_over_by_the_first_deploy(
    tmp_path: Path, is_ours_there: bool, lines: list[list[int]] | None
) -> None:
    write(tmp_path, {"my.cnf": MY_CNF.format(etc=tmp_path), "conf.d/50-a.cnf": "[mysqld]\nbind-address = 127.0.0.1\n"})
    ours = tmp_path / "conf.d/90-ours.cnf"
    if is_ours_there:
        ours.write_text("[mysqld]\n")
    program = under_test(find)
    program.START_FILES = [f"{tmp_path}/my.cnf"]
    wanted = {"ours": str(ours), "options": {"bind-address": "192.0.2.21", "server-id": "1"}}
    parts = program.hand_made({"mysql": wanted})
    assert [(part["path"], part["lines"]) for part in parts] == ([(f"{tmp_path}/my.cnf", lines)] if lines else [])
