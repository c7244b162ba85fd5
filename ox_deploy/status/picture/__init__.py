"""The drawn picture of the cluster on the page of status; draw.py begins."""
