"""Consentry: a privacy-compliant profile data platform with consent, de-identification, tags and an audit log."""

__version__ = "0.1.0"
