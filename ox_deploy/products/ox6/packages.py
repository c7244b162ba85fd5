"""The packages of the guide."""

from __future__ import annotations

GUI = tuple(
    f"open-xchange-{name}"
    for name in [
        "configjump-generic-gui",
        "gui",
        "gui-wizard-plugin-gui",
        "online-help-de",
        "online-help-en",
        "online-help-fr",
    ]
)
GROUPWARE = (
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
)
