"""Give the database account its real password again, after a creation of configdb that was interrupted."""


def configdb_restore(_):
    """Do it."""
    restore_password(settings())
