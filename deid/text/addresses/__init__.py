"""Addresses and places in Chinese text, by a gazetteer of divisions and the grammar of roads and houses."""

from deid.text.addresses.finder import AddressFinder

__all__ = ["AddressFinder"]
