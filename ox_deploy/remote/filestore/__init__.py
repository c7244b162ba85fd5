"""The filestore, mounted."""
