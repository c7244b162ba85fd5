"""The one error that bad input raises."""

from pyinfra.api.exceptions import PyinfraError


class InputError(PyinfraError):
    """Inventory, group data or secrets are wrong; the message says what is, what should be and what to do.

    A PyinfraError, so that pyinfra prints its message without a traceback and ends with exit code 1.
    """
