"""Consent to and from other systems' forms."""
