"""Users of a context: rows of its user schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import passwords
from errors import InvalidData, NoSuchUser
from registry import pattern

if TYPE_CHECKING:
    from database import Session
    from operations import Administration, Options

COLUMNS = {"displayname": "displayName", "givenname": "givenName", "surname": "surName", "email": "mail"}


def check_combination(admin: Administration, options: Options) -> None:
    name = options.get("access-combination-name")
    if name is not None and name not in admin.configuration.combinations:
        raise InvalidData(f'No access combination name found for "{name}"')


def create(admin: Administration, db: Session, options: Options) -> int:
    cid, name = int(options["context"]), options["username"]
    check_combination(admin, options)
    if db.rows("SELECT 1 FROM login2user WHERE cid = %s AND uid = %s", cid, name):
        raise InvalidData(f"User {name} already exists in this context")
    if db.rows("SELECT 1 FROM user WHERE cid = %s AND mail = %s", cid, options["email"]):
        raise InvalidData(f'Primary mail address "{options["email"]}" already exists in context {cid}!')
    db.change("UPDATE sequence_id SET id = LAST_INSERT_ID(id + 1) WHERE cid = %s", cid)
    identifier = int(db.value("SELECT LAST_INSERT_ID()"))
    insert(db, cid, identifier, options)
    return identifier


def insert(db: Session, cid: int, identifier: int, options: Options) -> None:
    db.change(
        "INSERT INTO user (cid, id, mail, displayName, surName, givenName, userPassword, passwordMech,"
        " mailEnabled) VALUES (%s, %s, %s, %s, %s, %s, %s, '{SHA}', 1)",
        cid,
        identifier,
        options["email"],
        options["displayname"],
        options["surname"],
        options["givenname"],
        passwords.sha(options["password"]),
    )
    db.change("INSERT INTO login2user (cid, uid, id) VALUES (%s, %s, %s)", cid, options["username"], identifier)
    db.change(
        "INSERT INTO user_configuration (cid, user, permissions) VALUES (%s, %s, %s)",
        cid,
        identifier,
        options.get("access-combination-name", "webmail"),
    )
    db.change("INSERT INTO groups_member (cid, id, member) VALUES (%s, 0, %s)", cid, identifier)


def change(admin: Administration, db: Session, options: Options) -> int:
    cid = int(options["context"])
    identifier = _identifier(db, cid, options)
    for key, column in COLUMNS.items():
        if key in options:
            statement = f"UPDATE user SET {column} = %s WHERE cid = %s AND id = %s"
            db.change(statement, options[key], cid, identifier)
    if "password" in options:
        db.change(
            "UPDATE user SET userPassword = %s, passwordMech = '{SHA}' WHERE cid = %s AND id = %s",
            passwords.sha(options["password"]),
            cid,
            identifier,
        )
    return identifier


def delete(admin: Administration, db: Session, options: Options) -> int:
    cid = int(options["context"])
    identifier = _identifier(db, cid, options)
    for table, column in (
        ("login2user", "id"),
        ("user_configuration", "user"),
        ("groups_member", "member"),
        ("user", "id"),
    ):
        db.change(f"DELETE FROM {table} WHERE cid = %s AND {column} = %s", cid, identifier)
    return identifier


def _identifier(db: Session, cid: int, options: Options) -> int:
    if "userid" in options:
        found = db.value("SELECT id FROM user WHERE cid = %s AND id = %s", cid, options["userid"])
    else:
        found = db.value("SELECT id FROM login2user WHERE cid = %s AND uid = %s", cid, options.get("username"))
    if found is None:
        raise NoSuchUser(f"No such user {options.get('userid', options.get('username'))} in context {cid}")
    return int(found)


def exists(admin: Administration, db: Session, options: Options) -> bool:
    try:
        _identifier(db, int(options["context"]), options)
    except NoSuchUser:
        return False
    return True


def list_all(admin: Administration, db: Session, options: Options) -> list[dict[str, Any]]:
    query = (
        "SELECT u.id, l.uid AS name, u.mail AS primary_email, u.displayName AS display_name,"
        " u.givenName AS given_name, u.surName AS sur_name,"
        " IF(u.mailEnabled, 'true', 'false') AS mailenabled, u.preferredLanguage AS language,"
        " u.timeZone AS timezone, u.imapServer AS imapserver,"
        " u.imapLogin AS imaplogin, u.smtpServer AS smtpserver, u.passwordMech AS password_mech,"
        " NULL AS max_quota, NULL AS used_quota"
        " FROM user u JOIN login2user l ON l.cid = u.cid AND l.id = u.id"
        " WHERE u.cid = %s AND l.uid LIKE %s ORDER BY u.id"
    )
    return db.rows(query, int(options["context"]), pattern(options))
