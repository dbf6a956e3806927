"""An index of what the history has of other keys for enrolled phones."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KEY_CONFLICT = sa.text("event = 'device_key_conflict'")


def upgrade() -> None:
    """Go forward."""
    op.create_index(
        "ix_audit_key_conflicts",
        "audit",
        ["imei"],
        sqlite_where=_KEY_CONFLICT,
        postgresql_where=_KEY_CONFLICT,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_audit_key_conflicts", "audit", sqlite_where=_KEY_CONFLICT, postgresql_where=_KEY_CONFLICT)
