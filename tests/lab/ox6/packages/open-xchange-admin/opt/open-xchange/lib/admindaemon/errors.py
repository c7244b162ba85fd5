"""What the daemon refuses, each kind with an exit code of its own in the command line tools."""


class AdminError(Exception):
    kind = "other"


class InvalidCredentials(AdminError):
    kind = "credentials"


class NoSuchContext(AdminError):
    kind = "context"


class ContextExists(AdminError):
    kind = "exists"


class InvalidData(AdminError):
    kind = "data"


class StorageError(AdminError):
    kind = "storage"


class NoSuchUser(AdminError):
    kind = "user"
