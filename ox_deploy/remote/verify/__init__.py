"""The guide's tests."""
