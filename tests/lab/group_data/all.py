# What differs in the lab from group_data/all.py.
from tests.lab import state

secrets_file = str(state.SECRETS)
ox_repository_url = f"http://{state.REPO_NAME}/"
ox_repository_key = str(state.REPO_KEY)
nfs_server = "ganesha"
web_name = state.WEB_NAME
web_certificate = str(state.TLS_CERTIFICATE)
web_certificate_key = str(state.TLS_KEY)
server_memory = 128
if state.load().database_server != "mariadb":
    database_server = state.load().database_server
