# Every setting of the cluster, with its default. The comments name the chapter of the guide where it is used.
# Passwords do not stand here: `python -m ox_deploy.secrets` makes them (see docs/secrets.md).

# --- Product ---------------------------------------------------------------------------------------------
# Generation of Open-Xchange. "ox6" is Open-Xchange Server 6.10.
product = "ox6"
# The name under which the whole cluster is registered (guide: `registerserver -n oxserver`).
server_name = "oxserver"
# File with the passwords, mode 0600, relative to the working directory.
secrets_file = "secrets.toml"

# --- Package repository ----------------------------------------------------------------------------------
# Flat apt repository of the vendor; user and password, if it wants them, are the secrets
# `ox_repository_user` and `ox_repository_password`.
ox_repository_url = "https://repository.example.com/OX6/6.10/"
# File on this machine with the repository's signing key, ASCII-armoured.
ox_repository_key = "files/open-xchange.asc"

# --- Master/Slave database setup -------------------------------------------------------------------------
# "mariadb" or "mysql", the same on all database hosts. Debian has packages of MariaDB only; for MySQL, a repository
# that has `mysql-server` has to be set up on the hosts before.
database_server = "mariadb"
mysql_port = 3306
# More settings for the server's configuration file, such as {"innodb_buffer_pool_size": "4G"}. Can also be
# set for one host in inventory.py.
mysql_settings: dict[str, str | int] = {}
# Only where root cannot log in over the server's socket: absolute path of a root-only option file there.
mysql_option_file = None
# How replicas keep their place in the master's binary log: "gtid", or "position" (file and position). A running
# replica is moved from one to the other. Switching the master goes by GTID in any case.
replication_by = "gtid"
# Let replicas read from their master over encrypted connections only (TLS). A running replica is moved there and back.
replication_tls = False
# Each database server makes its own key and certificate, and all trust those of all. To use other ones: the CA's
# certificate here, and `mysql_tls_certificate` and `mysql_tls_key` of each database server in inventory.py, all of
# them files on this machine.
mysql_tls_ca = None
# Let the master acknowledge a transaction only when a replica has received it, as long as one is connected and answers
# within 10 seconds.
semi_synchronous = False
# Drop the accounts of our two users for addresses that are no longer in the inventory, instead of naming them.
remove_stale_accounts = False

# --- Distributed file storage ----------------------------------------------------------------------------
# Directory of the filestore, the same on server and nodes.
filestore_path = "/var/opt/filestore"
# User and group ids of `open-xchange`, free on all hosts.
filestore_uid = 1001
filestore_gid = 1001
# "kernel" (nfs-kernel-server) or "ganesha" (nfs-ganesha).
nfs_server = "kernel"
# Mount options of the groupware nodes.
nfs_options = "rw,hard,nosuid,nodev,noatime,_netdev"
# An NFS server that is not ours to set up, such as "nas.example.com:/export/ox"; it is only mounted then.
external_filestore = None

# --- Session load balancing ------------------------------------------------------------------------------
# Name under which users reach the web host.
web_name = "groupware.example.com"
# Certificate (with its chain) and key for that name, files on this machine.
web_certificate = "files/groupware.example.com.pem"
web_certificate_key = "files/groupware.example.com.key"
# Further paths of the nodes that users need, such as "/usm-json"; what is not on the product's list is refused.
web_paths: list[str] = []
# For how many seconds browsers insist on HTTPS (HSTS), such as 63072000 for two years, once HTTPS is known to work.
# 0 has them forget it, None says nothing.
hsts_seconds = None

# --- Configuring Open-Xchange Server ---------------------------------------------------------------------
# Memory of the groupware process in MB.
server_memory = 512
# Licence key, or None for an installation without one.
license_key = None
# Contexts and users that are made when they are missing. Their passwords are the secrets
# `context_<id>_<user>`. `quota` is in MB.
contexts = [
    {
        "id": 1,
        "name": "defaultcontext",
        "admin": "oxadmin",
        "admin_display_name": "Context Admin",
        "admin_email": "oxadmin@example.com",
        "quota": 1024,
        "access": "all",
        "users": [
            {
                "name": "testuser",
                "display_name": "Test User",
                "given_name": "Test",
                "sur_name": "User",
                "email": "testuser@example.com",
            },
        ],
    },
]

# --- Clustering Open-Xchange Server ----------------------------------------------------------------------
# Route for the discovery of the other nodes, on the interface that has the node's address.
multicast_network = "224.0.0.0/8"
# Another cluster on the same link needs other addresses or ports, or the two will join.
cache_multicast_address = "224.0.0.1"
cache_multicast_port = 6780
session_cache_multicast_port = 6781
