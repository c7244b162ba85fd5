"""Seeding of a replica."""
