"""A made-up operator: people, their source files, and the whole way through the public commands."""
