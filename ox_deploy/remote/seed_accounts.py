"""The accounts of the master, which a slave needs as well if it is to become a master one day."""

# Each server has these of its own.
OWN_ACCOUNTS = {("root", "localhost"), ("mysql", "localhost"), ("mariadb.sys", "localhost")}
# An account of a host's name, on a server that does not look up names.
NOT_IN_USE = 1133


def read_accounts(master, throw_away):
    """Return what makes each account and role, and their rights after all of them, as (whose, statement)."""
    query = "SELECT User AS user, Host AS host, is_role FROM mysql.user ORDER BY is_role = 'Y' DESC, user, host"
    made, granted = [], []
    for row in rows(master, query):
        if (row["user"], row["host"]) in OWN_ACCOUNTS or row["user"] == throw_away:
            continue
        try:
            who, statements = statements_for(master, row)
            granted += [(who, next(iter(grant.values()))) for grant in rows(master, "SHOW GRANTS FOR " + who)]
            made += statements
        except Exception as error:
            if error.args[0] != NOT_IN_USE:
                raise
    return made + granted


def statements_for(master, row):
    """Return the name of an account or role in quotes, and what makes it."""
    if row["is_role"] != "Y":
        who = "{}@{}".format(identifier(row["user"]), identifier(row["host"]))
        create = only_value(master, "SHOW CREATE USER " + who)
        return who, [(who, create.replace("CREATE", "CREATE OR REPLACE", 1))]
    if row["user"] == "PUBLIC":
        return "PUBLIC", []
    who = identifier(row["user"])
    return who, [(who, "CREATE OR REPLACE ROLE " + who)]


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


def identifier(name):
    """Return a name in quotes."""
    return "`{}`".format(name.replace("`", "``"))
