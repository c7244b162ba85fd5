"""Is this host well?"""
