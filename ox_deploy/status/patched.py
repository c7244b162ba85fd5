"""Imported before anything else, it makes the standard library wait without blocking other hosts.

pyinfra's command does the same when it starts, and leaves it to every other program.
"""

from gevent import monkey

monkey.patch_all()
