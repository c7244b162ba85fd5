"""Certificates of servers."""
