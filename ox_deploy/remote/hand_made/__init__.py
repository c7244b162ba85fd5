"""What somebody set up by hand for the same purpose as we: found, moved aside, and kept."""
