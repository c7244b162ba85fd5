"""The database in which Open-Xchange registers things."""
