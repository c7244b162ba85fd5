"""What differs between the generations of Open-Xchange, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """One generation: its packages, services and the database rights that the vendor documents for it."""

    gui_packages: tuple[str, ...]
    groupware_packages: tuple[str, ...]
    admin_service: str
    groupware_service: str
    # The port each service listens on when it is up.
    ports: Mapping[str, int]
    # TCP ports of the caches.
    cache_ports: Mapping[str, int]
    database_privileges: frozenset[str]
    database_grant_option: bool
    # What `--access-combination-name` knows.
    access_combinations: tuple[str, ...]

    @property
    def taken_ports(self) -> frozenset[int]:
        """Return the TCP ports that nothing else on these hosts can have."""
        return frozenset({*self.ports.values(), *self.cache_ports.values()})


# The vendor's list for the account `openexchange`, with the routines that the 6.x tables need on top.
# Not ALL PRIVILEGES as in the guide: that holds the right to write on a read-only slave.
_OX6_PRIVILEGES = frozenset(
    {
        "ALTER",
        "ALTER ROUTINE",
        "CREATE",
        "CREATE ROUTINE",
        "CREATE TEMPORARY TABLES",
        "DELETE",
        "DROP",
        "EXECUTE",
        "INDEX",
        "INSERT",
        "LOCK TABLES",
        "REFERENCES",
        "SELECT",
        "SHOW DATABASES",
        "SHOW VIEW",
        "UPDATE",
    }
)

PRODUCTS = {
    "ox6": Product(
        gui_packages=tuple(
            f"open-xchange-{name}"
            for name in [
                "configjump-generic-gui",
                "gui",
                "gui-wizard-plugin-gui",
                "online-help-de",
                "online-help-en",
                "online-help-fr",
            ]
        ),
        groupware_packages=(
            "open-xchange",
            *(
                f"open-xchange-{name}"
                for name in [
                    "authentication-database",
                    "admin-client",
                    "admin-lib",
                    "admin-plugin-hosting",
                    "admin-plugin-hosting-client",
                    "admin-plugin-hosting-lib",
                    "configjump-generic",
                    "admin-doc",
                    "contactcollector",
                    "conversion",
                    "conversion-engine",
                    "conversion-servlet",
                    "crypto",
                    "data-conversion-ical4j",
                    "dataretention",
                    "genconf",
                    "genconf-mysql",
                    "imap",
                    "mailfilter",
                    "management",
                    "monitoring",
                    "passwordchange-database",
                    "passwordchange-servlet",
                    "pop3",
                    "publish",
                    "publish-basic",
                    "publish-infostore-online",
                    "publish-json",
                    "publish-microformats",
                    "push-udp",
                    "resource-managerequest",
                    "server",
                    "settings-extensions",
                    "smtp",
                    "spamhandler-default",
                    "sql",
                    "subscribe",
                    "xerces-sun",
                    "subscribe-json",
                    "subscribe-microformats",
                    "subscribe-crawler",
                    "templating",
                    "threadpool",
                    "unifiedinbox",
                    "admin-plugin-hosting-doc",
                    "charset",
                    "group-managerequest",
                    "i18n",
                    "jcharset",
                    "sessiond",
                    "calendar-printing",
                    "user-json",
                    "gui-wizard-plugin",
                ]
            ),
        ),
        admin_service="open-xchange-admin",
        groupware_service="open-xchange-groupware",
        ports={"open-xchange-admin": 1099, "open-xchange-groupware": 8009},
        cache_ports={"groupware": 57462, "admin": 57461, "session": 58849},
        database_privileges=_OX6_PRIVILEGES,
        database_grant_option=True,
        access_combinations=(
            "webmail",
            "pim",
            "webmail_plus",
            "pim_infostore",
            "groupware",
            "groupware_standard",
            "groupware_premium",
            "all",
        ),
    ),
}
