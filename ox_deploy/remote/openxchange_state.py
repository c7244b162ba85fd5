"""Print what the configuration files of Open-Xchange on this host say. Secrets come as fingerprints only."""

BASE = "/opt/open-xchange/etc"


def values_in(path):
    """Return the keys and values of a properties file; commented lines do not count."""
    values = {}
    for line in (read(path) or b"").decode().splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.lstrip().startswith("#"):
            values[key.strip()] = value.strip()
    return values


def openxchange_state(wanted):
    """Return the asked keys of the asked files, and the stored administrator's password hash."""
    plain, secret = {}, {}
    for file, keys in wanted["keys"].items():
        values = values_in(os.path.join(BASE, file))
        plain[file] = {key: values.get(key) for key in keys}
    for file, keys in wanted["secret_keys"].items():
        values = values_in(os.path.join(BASE, file))
        secret[file] = {key: fingerprint(values[key]) for key in keys if key in values}
    return {
        "installed": os.path.exists("/opt/open-xchange/sbin/oxinstaller"),
        "values": plain,
        "secrets": secret,
        "administrator": administrator_in(os.path.join(BASE, wanted["administrator_file"]), wanted["administrator"]),
    }


def administrator_in(path, name):
    """Return the salt of an administrator's password hash, and the hash's fingerprint."""
    for line in (read(path) or b"").decode().splitlines():
        user, _, hashed = line.partition(":")
        if user == name:
            return {"salt": hashed[:2], "hash": fingerprint(hashed)}
    return None
