"""API keys have a public id, a name, scopes, a last use, and can be revoked."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NEW: dict[str, sa.types.TypeEngine[Any]] = {
    "key_id": sa.String(length=20),
    "name": sa.String(length=64),
    "scopes": sa.String(length=128),
    "last_used_at": sa.BigInteger(),
    "revoked_at": sa.BigInteger(),
}


def upgrade() -> None:
    """Go forward: keys of before could do everything, and still can."""
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        for name, kind in _NEW.items():
            batch_op.add_column(sa.Column(name, kind, nullable=True))

    keys = sa.table("api_keys", sa.column("key_hash", sa.LargeBinary()), *(sa.column(name) for name in _NEW))
    for key_hash in op.get_bind().execute(sa.select(keys.c.key_hash)).scalars().all():
        # As broker_bridge.domain.access.key_id_of does today; a revision stays what it was.
        named = keys.update().where(keys.c.key_hash == key_hash)
        key_id = f"key_{key_hash[:8].hex()}"
        op.execute(named.values(key_id=key_id, name="first", scopes="admin", last_used_at=0, revoked_at=0))

    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        for name, kind in _NEW.items():
            batch_op.alter_column(name, existing_type=kind, nullable=False)
        batch_op.create_index("ix_api_keys_lender_key_id", ["lender", "key_id"], unique=True)


def downgrade() -> None:
    """Go back: revoked keys go, or they would work again."""
    keys = sa.table("api_keys", sa.column("revoked_at"))
    op.execute(keys.delete().where(keys.c.revoked_at > 0))
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_index("ix_api_keys_lender_key_id")
        for name in _NEW:
            batch_op.drop_column(name)
