"""Addresses and places in Chinese text, by a gazetteer of divisions and the grammar of roads and houses."""

from deid.text.addresses.finder import AddressFinder
from deid.text.addresses.regions import Region, region_of

__all__ = ["AddressFinder", "Region", "region_of"]
