"""Seeding of a slave."""
