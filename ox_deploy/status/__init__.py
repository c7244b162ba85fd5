"""What is wrong right now: `python -m ox_deploy.status inventory.py`. Reads only."""
