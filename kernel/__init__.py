"""The floor that every package stands on: ids, clock, errors, ports, encoding, database, catalogue."""
