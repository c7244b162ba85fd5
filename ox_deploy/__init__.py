"""Deploys an Open-Xchange cluster with pyinfra: balancer, groupware nodes, replicated database, filestore."""
