"""Runs this store's history on the connection that the caller opened."""

from alembic import context

from consentry.migrations import metadata_of

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=list(metadata_of(context.config.attributes["store"])),
    transactional_ddl=False,
)
context.run_migrations()
