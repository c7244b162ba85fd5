"""The guide's cluster as data that a test can change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pyinfra.api.inventory import Inventory

from ox_deploy.cluster import NODE_KEYS, Cluster, build_cluster
from ox_deploy.consistency import GROUP_DATA

Data = dict[str, Any]


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: str
    key: str


def _user(name: str) -> Data:
    return {
        "name": name,
        "display_name": "Test User",
        "given_name": "Test",
        "sur_name": "User",
        "email": f"{name}@example.com",
    }


def context(number: int = 1, name: str = "defaultcontext", users: tuple[str, ...] = ("testuser",)) -> Data:
    return {
        "id": number,
        "name": name,
        "admin": "oxadmin",
        "admin_email": "oxadmin@example.com",
        "users": [_user(user) for user in users],
    }


def _hosts() -> dict[str, Data]:
    return {
        "web": {"address": "192.0.2.10"},
        "oxgw01": {"address": "192.0.2.11", "route": "OX-1"},
        "oxgw02": {"address": "192.0.2.12", "route": "OX-2"},
        "dbmaster": {"address": "192.0.2.21", "server_id": 1},
        "dbslave": {"address": "192.0.2.22", "server_id": 2},
    }


def _groups() -> dict[str, list[str]]:
    return {
        "web": ["web"],
        "groupware": ["oxgw01", "oxgw02"],
        "db_master": ["dbmaster"],
        "db_slave": ["dbslave"],
    }


@dataclass
class Guide:
    """Groups, host data and settings, as in inventory.py and group_data/all.py."""

    settings: Data
    hosts: dict[str, Data] = field(default_factory=_hosts)
    groups: dict[str, list[str]] = field(default_factory=_groups)
    # Settings by group, as in other files of group_data.
    group_data: dict[str, Data] = field(default_factory=dict)

    @classmethod
    def with_files(cls, files: Data) -> Guide:
        settings = {
            "ox_repository_url": "http://repository.example.com/OX6/6.10/",
            "web_name": "groupware.example.com",
            "contexts": [context()],
        }
        return cls(settings | files)

    def add(self, group: str, name: str, **data: Any) -> None:
        """Add a host, or a host of another group to this one."""
        self.groups.setdefault(group, []).append(name)
        self.hosts.setdefault(name, {}).update(data)

    def set(self, **settings: Any) -> Guide:
        self.settings |= settings
        return self

    def build(self) -> Cluster:
        """Build the cluster from plain data, as pyinfra would merge it; that takes much longer."""
        common = {key: self.settings[key] for key in self.settings.keys() & NODE_KEYS}
        hosts = {
            name: common | {key: data[key] for key in data.keys() & NODE_KEYS} for name, data in self.hosts.items()
        }
        origins = {name: dict.fromkeys(common.keys() - data.keys(), GROUP_DATA) for name, data in self.hosts.items()}
        settings = {key: value for key, value in self.settings.items() if key not in NODE_KEYS}
        return build_cluster(self.groups, hosts, settings, origins)

    def inventory(self, override: Data | None = None) -> Inventory:
        """Build what pyinfra makes of the files and of `--data`."""
        groups: Any = {
            group: ([(name, self.hosts[name]) for name in names], self.group_data.get(group, {}))
            for group, names in self.groups.items()
        }
        return Inventory((list(self.hosts), self.settings), override_data=override, **groups)
