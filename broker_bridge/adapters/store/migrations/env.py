"""Alembic's environment: runs revisions on the connection that `migrate` hands over."""

from alembic import context

from broker_bridge.adapters.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes a column by copying its table; later revisions are written once and run on both databases.
    render_as_batch=True,
)
context.run_migrations()
