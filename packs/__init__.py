"""Packs: data that fits the product to an industry; no code."""
