"""What each tool is called, takes and says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from parsing import MISSING, Option

Refusal = tuple[str, int]

HELP = Option("help", "h", "Prints a help text", kind="flag")
COMMON = [
    HELP,
    Option("environment", help="Show info about commandline environment", kind="flag"),
    Option("nonl", help="Remove all newlines (\\n) from output", kind="flag"),
    Option("responsetimeout", help="response timeout in seconds for reading response from the backend"),
]
LOGIN = [
    Option("adminuser", "A", "Admin username", needed=True),
    Option("adminpass", "P", "Admin password", needed=True),
]
LISTING = [
    Option("searchpattern", "s", "The search pattern which is used for listing"),
    Option("csv", help="Format output to csv", kind="flag"),
]
CONTEXT = Option("context", "c", "The id of the context", needed=True, kind="number")


@dataclass(frozen=True)
class Tool:
    command: str
    subject: str  # the kind of thing it works on
    verb: str  # what has been done to it, in messages
    options: list[Option] = field(default_factory=list)
    flags: frozenset[str] = frozenset()  # newuser: takes NEW_USER_PASSWORD
    check: Callable[[dict[str, Any]], Refusal | None] | None = None
    table: tuple[tuple[str, str], ...] = ()  # heading and csv column

    def all_options(self) -> list[Option]:
        return [*COMMON, *LOGIN, *self.options, *(LISTING if self.table else [])]


def user_options(needed: bool) -> list[Option]:
    return [
        Option("username", "u", "Username of the user", needed=needed),
        Option("displayname", "d", "Display name of the user", needed=needed),
        Option("givenname", "g", "Given name for the user", needed=needed),
        Option("surname", "s", "Sur name for the user", needed=needed),
        Option("password", "p", "Password for the user", needed=needed),
        Option("email", "e", "Primary mail address", needed=needed),
        Option("lang", "l", "Language for the user (de_DE,en_US)"),
        Option("timezone", "t", "Timezone of the user (Europe/Berlin)"),
    ]


def database_options(needed: bool) -> list[Option]:
    return [
        Option("name", "n", "Name of the database", needed=needed),
        Option("hostname", "H", "Hostname of the server (Default: localhost)"),
        Option("dbuser", "u", "Name of the user for the database (Default: openexchange)"),
        Option("dbpasswd", "p", "Password for the database", needed=needed),
        Option("dbdriver", "d", "The driver to be used for the database"),
    ]


def master_or_slave(values: dict[str, Any]) -> Refusal | None:
    if not values["master"] and "masterid" not in values:
        return "master id must be set if this database isn't the master", MISSING
    return None


def listing(command: str, subject: str, columns: str, *options: Option) -> Tool:
    pairs = tuple((heading, csv) for heading, csv in (column.split("=") for column in columns.split()))
    return Tool(command, subject, "listed", list(options), table=pairs)


ID = Option("id", "i", "The id", kind="number")
NEEDED_ID = Option("id", "i", "The id", needed=True, kind="number")
NAME = Option("name", "n", "The name")
COMBINATION = Option("access-combination-name", help="Access combination name")

TOOLS = {
    "registerserver": Tool(
        "registerserver",
        "server",
        "registered",
        [Option("name", "n", "The hostname of the server", needed=True)],
    ),
    "registerfilestore": Tool(
        "registerfilestore",
        "filestore",
        "registered",
        [
            Option("storepath", "t", "Path to store filestore contents in URI format", needed=True),
            Option("storesize", "s", "The maximum size of the filestore in MB (Default: 1000)", kind="number"),
            Option("maxcontexts", "x", "The maximum number of contexts (Default: 5000)", kind="number"),
        ],
    ),
    "registerdatabase": Tool(
        "registerdatabase",
        "database",
        "registered",
        [
            *database_options(needed=True),
            Option("master", "m", "true if this database is a master", needed=True, kind="bool"),
            Option("masterid", "M", "If this database isn't the master: the id of its master", kind="number"),
            Option("dbweight", "w", "The db weight for this database (Default: 100)", kind="number"),
            Option("maxunit", "x", "The maximum number of contexts (Default: 1000)", kind="number"),
            Option("poolhardlimit", "l", "Db pool hardlimit (Default: true)", kind="bool"),
            Option("poolinitial", "o", "Db pool initial (Default: 0)", kind="number"),
            Option("poolmax", "a", "Db pool max (Default: 100)", kind="number"),
        ],
        check=master_or_slave,
    ),
    "changedatabase": Tool(
        "changedatabase", "database", "changed", [ID, *database_options(needed=False), Option("newname")]
    ),
    "unregisterserver": Tool("unregisterserver", "server", "unregistered", [ID, NAME]),
    "unregisterfilestore": Tool("unregisterfilestore", "filestore", "unregistered", [NEEDED_ID]),
    "unregisterdatabase": Tool("unregisterdatabase", "database", "unregistered", [ID, NAME]),
    "listserver": listing("listserver", "servers", "Id=id Name=name"),
    "listfilestore": listing(
        "listfilestore",
        "filestores",
        "id=id path=uri size=size reserved=reserved used=used maxctx=maxcontexts curctx=currentcontexts",
    ),
    "listdatabase": listing(
        "listdatabase",
        "databases",
        "id=id name=display_name hostname=url master=master mid=masterid weight=clusterweight maxctx=maxUnits"
        " curctx=currentunits hlimit=poolHardLimit max=poolMax inital=poolInitial =login =password"
        " =driver =read_id =scheme",
    ),
    "createcontext": Tool(
        "createcontext",
        "context",
        "created",
        [
            CONTEXT,
            *user_options(needed=True),
            Option("quota", "q", "Context wide filestore quota in MB.", needed=True, kind="number"),
            Option("contextname", "N", "context name"),
            Option("lmapping", "L", "Add login mappings. Separated by ','"),
            Option("filestore", "F", "id of the filestore", kind="number"),
            Option("database", "D", "id of the database", kind="number"),
            COMBINATION,
        ],
        flags=frozenset({"newuser"}),
    ),
    "deletecontext": Tool("deletecontext", "context", "deleted", [CONTEXT]),
    "listcontext": listing(
        "listcontext",
        "contexts",
        "cid=id fid=filestore_id fname=filestore_name enabled=enabled qmax=max_quota qused=used_quota"
        " name=name lmappings=lmappings =attributes",
    ),
    "existscontext": Tool("existscontext", "context", "checked", [CONTEXT]),
    "createuser": Tool(
        "createuser",
        "user",
        "created",
        [CONTEXT, *user_options(needed=True), COMBINATION],
        flags=frozenset({"newuser"}),
    ),
    "changeuser": Tool(
        "changeuser",
        "user",
        "changed",
        [CONTEXT, Option("userid", "i", kind="number"), *user_options(needed=False)],
    ),
    "deleteuser": Tool(
        "deleteuser",
        "user",
        "deleted",
        [CONTEXT, Option("userid", "i", kind="number"), Option("username", "u")],
    ),
    "existsuser": Tool(
        "existsuser",
        "user",
        "checked",
        [CONTEXT, Option("userid", "i", kind="number"), Option("username", "u")],
    ),
    "listuser": listing(
        "listuser",
        "users",
        "Id=id Name=name Displayname=display_name Email=primary_email qmax=max_quota qused=used_quota"
        " =given_name =sur_name =mailenabled =language =timezone =imapserver =imaplogin =smtpserver"
        " =password_mech",
        CONTEXT,
    ),
}
