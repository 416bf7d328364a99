"""Custodians beside the key file: key services and tokens, and what bounds and holds their answers."""
