"""Purposes, notices, decisions, guardians and agents, and the gate; its ``__init__`` imports nothing."""
