"""The vault: sealed records, their keys, who they are about, and their end.

Modules whose name begins with an underscore hold data keys in memory and are for this package alone.
"""
