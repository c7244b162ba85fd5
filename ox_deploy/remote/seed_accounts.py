"""The accounts of the master, which a slave needs as well if it is to become a master one day."""

import re

# An account of a host's name, on a server that does not look up names.
NOT_IN_USE = 1133
# Only what is stored tells who has a role, and whose it is by default.
NAME = "`(?:[^`]|``)*`@`(?:[^`]|``)*`"
DEFAULT_ROLES = re.compile(" DEFAULT ROLE {0}(?:,{0})*".format(NAME))
ROLES_OF_MYSQL = """
SELECT FROM_USER, FROM_HOST, TO_USER, TO_HOST, WITH_ADMIN_OPTION FROM mysql.role_edges ORDER BY 1, 2, 3, 4
"""
DEFAULTS_OF_MYSQL = """
SELECT DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST, USER, HOST FROM mysql.default_roles ORDER BY 3, 4, 1, 2
"""


def read_accounts(master, throw_away):
    """Return what makes each account and role, and their rights after all of them, as (whose, statement)."""
    names = dialect(master)
    read = read_mariadb if names["server"] == "MariaDB" else read_mysql
    return read(master, lambda user, host: user != throw_away and (user, host) not in names["own_accounts"])


def read_mariadb(master, is_wanted):
    """Return all of it; roles are no accounts."""
    query = "SELECT User AS user, Host AS host, is_role FROM mysql.user ORDER BY is_role = 'Y' DESC, user, host"
    made, granted = [], []
    for row in rows(master, query):
        if not is_wanted(row["user"], row["host"]):
            continue
        try:
            who, statements = statements_for(master, row)
            granted += [(who, grant) for grant in grants_of(master, who)]
            made += statements
        except Exception as error:
            if error.args[0] != NOT_IN_USE:
                raise
    return made + granted


def statements_for(master, row):
    """Return the name of an account or role in quotes, and what makes it."""
    if row["is_role"] != "Y":
        who = account(row["user"], row["host"])
        create = only_value(master, "SHOW CREATE USER " + who)
        return who, [(who, create.replace("CREATE", "CREATE OR REPLACE", 1))]
    if row["user"] == "PUBLIC":
        return "PUBLIC", []
    who = identifier(row["user"])
    return who, [(who, "CREATE OR REPLACE ROLE " + who)]


def read_mysql(master, is_wanted):
    """Return all of it; a role is an account, and any account may be the role of another one."""
    with master.cursor() as cursor:
        # Stored passwords have bytes that are no text.
        cursor.execute("SET SESSION print_identified_with_as_hex = ON")
    made, granted = [], []
    for row in rows(master, "SELECT User AS user, Host AS host FROM mysql.user ORDER BY user, host"):
        if is_wanted(row["user"], row["host"]):
            who = account(row["user"], row["host"])
            create = only_value(master, "SHOW CREATE USER " + who)
            made += [(who, "DROP USER IF EXISTS " + who), (who, DEFAULT_ROLES.sub("", create, count=1))]
            granted += [(who, grant) for grant in grants_of(master, who) if not grant.startswith("GRANT `")]
    return made + granted + roles_of(master, is_wanted)


def roles_of(master, is_wanted):
    """Return what gives the roles to accounts and makes them their default ones."""
    granted, default = [], {}
    for row in rows(master, ROLES_OF_MYSQL):
        if is_wanted(row["TO_USER"], row["TO_HOST"]):
            who = account(row["TO_USER"], row["TO_HOST"])
            option = " WITH ADMIN OPTION" if row["WITH_ADMIN_OPTION"] == "Y" else ""
            granted.append((who, "GRANT {} TO {}{}".format(account(row["FROM_USER"], row["FROM_HOST"]), who, option)))
    for row in rows(master, DEFAULTS_OF_MYSQL):
        if is_wanted(row["USER"], row["HOST"]):
            role = account(row["DEFAULT_ROLE_USER"], row["DEFAULT_ROLE_HOST"])
            default.setdefault(account(row["USER"], row["HOST"]), []).append(role)
    return granted + [(who, "SET DEFAULT ROLE {} TO {}".format(", ".join(default[who]), who)) for who in default]


def grants_of(master, who):
    """Return the statements that give an account its rights."""
    return [next(iter(grant.values())) for grant in rows(master, "SHOW GRANTS FOR " + who)]


def write_accounts(session, statements):
    """Make them; a statement may hold the hash of a password, so only its account is told."""
    with session.cursor() as cursor:
        for who, statement in statements:
            try:
                cursor.execute(statement)
            except Exception as error:
                fail("the account {} cannot be copied (error {})".format(who, error.args[0]))


def only_value(session, statement):
    """Return the one value that a statement shows."""
    return next(iter(rows(session, statement)[0].values()))


def account(user, host):
    """Return an account in quotes."""
    return "{}@{}".format(identifier(user), identifier(host))


def identifier(name):
    """Return a name in quotes."""
    return "`{}`".format(name.replace("`", "``"))
