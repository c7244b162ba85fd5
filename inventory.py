# The guide's five hosts. Edit the addresses (these are documentation addresses), and nothing else is needed.
#
# Each entry is (name, data):
#   ssh_hostname  how pyinfra reaches the host; `address` is how the other hosts of the cluster reach it
#   route         name of a groupware node in the session cookie; unique
#   load_factor   share of the sessions that a groupware node gets (1 to 100, default 50)
#   server_id     number of a database server; unique
# More groupware nodes, replicas or web hosts are more lines. A group `filestore` with one host takes the
# filestore away from the master; after a switch of the master it names the old one.

web = [
    ("web", {"ssh_hostname": "192.0.2.10", "address": "192.0.2.10"}),
]

groupware = [
    ("oxgw01", {"ssh_hostname": "192.0.2.11", "address": "192.0.2.11", "route": "OX-1"}),
    ("oxgw02", {"ssh_hostname": "192.0.2.12", "address": "192.0.2.12", "route": "OX-2"}),
]

db_master = [
    ("dbmaster", {"ssh_hostname": "192.0.2.21", "address": "192.0.2.21", "server_id": 1}),
]

db_slave = [
    ("dbslave", {"ssh_hostname": "192.0.2.22", "address": "192.0.2.22", "server_id": 2}),
]
