"""pyinfra reads this file from the working directory before the inventory, whatever it is to run."""

from ox_deploy.questions.reached import fail_without_hosts

fail_without_hosts()
