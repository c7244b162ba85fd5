"""pyinfra reads this file from the working directory before the inventory, whatever it is to run."""

from ox_deploy.questions.pyinfra_internals import look_up_once
from ox_deploy.questions.reached import fail_without_hosts

look_up_once()
fail_without_hosts()
