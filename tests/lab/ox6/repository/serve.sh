#!/bin/sh
# Serves the repository to one account, which the environment names.
set -eu
: "${REPO_USER:?}" "${REPO_PASSWORD:?}"
umask 027
printf '%s:{PLAIN}%s\n' "$REPO_USER" "$REPO_PASSWORD" > /etc/nginx/accounts
chgrp www-data /etc/nginx/accounts
umask 022
exec env -u REPO_USER -u REPO_PASSWORD nginx
