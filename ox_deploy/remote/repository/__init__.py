"""The package repository of the product."""
