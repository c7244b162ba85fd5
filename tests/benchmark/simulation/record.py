"""Writes down what the hosts of an inventory would answer if a deploy had nothing to change on them.

`python -m record INVENTORY FILE`, in the checkout that is measured: what is asked and wanted is that checkout's own.
"""

from __future__ import annotations

import pyinfra_cli  # noqa: F401 - patches what others import # isort: skip

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from passlib.hash import des_crypt
from pyinfra.api import Config, Host, State
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_config, ctx_host, ctx_inventory, ctx_state
from pyinfra_cli.inventory import make_inventory

from ox_deploy.cluster import Cluster, Node, cluster_of
from ox_deploy.deploys.chapters import ON_HOSTS
from ox_deploy.facts.mysql import Mysql
from ox_deploy.facts.network import MulticastRoute
from ox_deploy.facts.nfs import FilestoreMount
from ox_deploy.facts.openxchange import CachePeers, Configdb, Daemons, OpenXchangeConfiguration
from ox_deploy.facts.service import Service
from ox_deploy.mysql import passwords
from ox_deploy.mysql.accounts import WantedAccount
from ox_deploy.operations.service import ManagedFile
from ox_deploy.questions import prefetch
from ox_deploy.questions.question import Question
from ox_deploy.topologies.master_slaves.deploys.database import replication_password, wanted_accounts
from ox_deploy.topologies.master_slaves.roles import master_of

Document = dict[str, Any]
SALT = "0123456789abcdef"
VERSION = "10.11.14-MariaDB-0+deb12u2-log"


def fingerprint(secret: str) -> Document:
    """Return what a host tells of a secret that it has."""
    return {"salt": SALT, "digest": hashlib.sha256((SALT + secret).encode()).hexdigest()}


def file_state(file: ManagedFile) -> Document | None:
    """Return what a host tells of a file that is as wanted."""
    if file.target is not None:
        return {"mode": "0777", "owner": "root", "group": "root", "target": file.target, "digest": None}
    if file.content is None and not file.directory:
        return None
    digest = None if file.content is None else hashlib.sha256(file.content.encode()).hexdigest()
    return {"mode": file.mode, "owner": file.owner, "group": file.group, "target": None, "digest": digest}


def service(files: Sequence[ManagedFile], units: Sequence[str]) -> Document:
    """Return what a host tells of a service that is configured and runs."""
    unit = {"active": True, "enabled": True}
    states = {file.path: file_state(file) for file in files}
    return {"files": states, "units": dict.fromkeys(units, unit), "pending": False}


NOTHING: Mapping[str, Any] = {}


class Recorder:
    """Answers for the hosts of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.accounts = [self.account(wanted) for wanted in wanted_accounts(cluster)]

    def account(self, wanted: WantedAccount) -> Document:
        stored = passwords.stored(wanted.password.reveal(), passwords.NATIVE)
        option = wanted.grant_option
        return {
            "user": wanted.user,
            "host": wanted.host,
            "plugin": passwords.NATIVE,
            "password": fingerprint(stored),
            "grants": [{"on": "*.*", "privileges": sorted(wanted.privileges), "grant_option": option}],
        }

    def mysql(self, node: Node, users: Sequence[str]) -> Document:
        is_master = node == master_of(self.cluster)
        gtid = f"0-{master_of(self.cluster).server_id}-345"
        return {
            "state": "running",
            "version": VERSION,
            "variables": {"server_id": str(node.server_id), "read_only": "OFF" if is_master else "ON"},
            "databases": ["configdb"],
            "accounts": [account for account in self.accounts if account["user"] in users],
            "binary_log": {
                "file": "mysql-bin.000003",
                "position": 1234,
                "first_file": "mysql-bin.000001",
                "complete": True,
                "files": ["mysql-bin.000001", "mysql-bin.000002", "mysql-bin.000003"],
            },
            "replica": None if is_master else self.replica(gtid),
            "gtid_state": gtid,
            "gtid": {"slave": "" if is_master else gtid, "binlog": gtid},
        }

    def replica(self, gtid: str) -> Document:
        master = master_of(self.cluster)
        return {
            "host": master.address,
            "port": self.cluster.settings.mysql_port,
            "user": "replication",
            "io_running": "Yes",
            "sql_running": "Yes",
            "io_error": "",
            "sql_error": "",
            "file": "mysql-bin.000003",
            "position": 1234,
            "password": fingerprint(replication_password(self.cluster).reveal()),
            "seconds_behind": 0,
            "using_gtid": True,
            "received": gtid,
        }

    def configuration(self, wanted: Any) -> Document:
        values: dict[str, Document] = {file: dict(keys) for file, keys in wanted.values.items()}
        for file, keys in wanted.memory.items():
            values.setdefault(file, {}).update(keys)
        logins = {
            file: {key: fingerprint(prefix + password.reveal()) for key, (prefix, password) in keys.items()}
            for file, keys in wanted.secrets.items()
        }
        hashed = des_crypt.using(salt="ab").hash(wanted.administrator.password.reveal())
        administrator = {"salt": "ab", "hash": fingerprint(hashed)}
        return {"installed": True, "values": values, "secrets": logins, "administrator": administrator}

    def registration(self, wanted: Any) -> Document:
        pools = [
            {
                "id": number,
                "name": each.name,
                "url": f"jdbc:mysql://{each.host}",
                "login": each.user,
                "password": fingerprint(each.password.reveal()),
            }
            for number, each in enumerate(wanted.databases, 1)
        ]
        return {
            "state": "complete",
            "servers": [wanted.server],
            "filestores": [wanted.filestore],
            "pools": pools,
            "clusters": {"1": 2},
            "contexts": [
                {"id": context.id, "users": [context.admin, *(user.name for user in context.users)]}
                for context in wanted.contexts
            ],
        }

    def mount(self, arguments: Mapping[str, Any]) -> Document:
        line = "{source} {path} nfs {options} 0 0\n".format(**arguments)
        files = [ManagedFile("/etc/fstab", line, block="filestore"), *arguments["files"]]
        return {
            "service": service(files, []),
            "foreign_line": None,
            "foreign_unit": None,
            "real": arguments["path"],
            "mount": {"source": arguments["source"], "type": "nfs4"},
            "answers": True,
            "bare": {"protected": True, "entries": []},
        }

    def answer(self, node: Node, question: Question[Any], arguments: Mapping[str, Any]) -> Document:
        """Return the answer to a question of an operation that is called with these arguments."""
        if arguments is NOTHING:
            return {}
        if question.fact is Mysql:
            return self.mysql(node, question.arguments["users"])
        if question.fact is Service:
            return service(arguments["files"], question.arguments["units"])
        if question.fact is MulticastRoute:
            return {"service": service([arguments["file"]], [arguments["unit"]]), "present": True}
        if question.fact is FilestoreMount:
            return self.mount(arguments)
        if question.fact is OpenXchangeConfiguration:
            return self.configuration(arguments["wanted"])
        if question.fact is Daemons:
            up = {"active": True, "enabled": True, "listening": True, "pending": False}
            return dict.fromkeys(question.arguments["ports"], up)
        if question.fact is CachePeers:
            return {peer: list(arguments["ports"]) for peer in arguments["peers"]}
        assert question.fact is Configdb, question
        return self.registration(arguments["wanted"])

    def host(self, node: Node, host: Host, asked: Mapping[Any, Mapping[str, Any]]) -> Document:
        """Return the lines with which a host answers its first question, and the answers to those along with it."""
        prepare = prefetch.calls(host)[0].arguments
        user, uid, gid = (prepare[key] for key in ("user", "uid", "gid"))
        lines = ["lease taken 1", "system debian 12", "init systemd", "python yes", f"address {node.address}"]
        if user:
            lines += [f"user_by_{key} {user}:x:{uid}:{gid}::/:/bin/sh" for key in ("name", "id")]
            lines += [f"group_by_{key} {user}:x:{gid}:" for key in ("name", "id")]
        lines += [f"package {name} installed 1.0" for name in prepare["packages"]]
        answers = {
            json.dumps([question.program.name, question.program.arguments]): self.answer(node, question, arguments)
            for question, arguments in asked.items()
        }
        return {"lines": lines, "answers": answers}


def record(inventory_file: str) -> dict[str, Document]:
    """Return what each host answers.

    It does for itself what the checkout has its own ways for, since those may be different in another one.
    """
    config, state = Config(), State(check_for_changes=False)
    state.cwd = str(Path.cwd())
    contexts: Any = (ctx_state, ctx_config, ctx_inventory, ctx_host)
    of_state, of_config, of_inventory, of_host = contexts
    with of_state.use(state), of_config.use(config):
        inventory = make_inventory(inventory_file, cwd=state.cwd)
        state.init(inventory, config)
        with of_inventory.use(inventory):
            state.current_stage = StateStage.Prepare
            cluster = cluster_of(inventory)
            hosts = {node.inventory_name: inventory.get_host(node.inventory_name) for node in cluster.nodes}
            for host in hosts.values():
                # All take part before the first one is asked, as in a run.
                state.activate_host(host)
                host.connected = True
            for host in hosts.values():
                with of_host.use(host):
                    for chapter in ON_HOSTS:
                        chapter()
                state.op_meta.clear()
            asked: dict[str, dict[Any, Mapping[str, Any]]] = {name: {} for name in hosts}
            for host in hosts.values():
                for call in prefetch.calls(host):
                    for other, question in call.questions:
                        asked[other.name].setdefault(question, call.arguments)
            for name, host in hosts.items():
                # What is asked by no operation of its own: whether anything stands in the way. Nothing does.
                for question in prefetch.planned(host):
                    asked[name].setdefault(question, NOTHING)
            recorder = Recorder(cluster)
            return {name: recorder.host(cluster.node_of(host), host, asked[name]) for name, host in hosts.items()}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(record(sys.argv[1])))
