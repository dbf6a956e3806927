"""API keys as they are made."""

from collections.abc import Collection

from broker_bridge.app.secret import new_secret
from broker_bridge.domain.access import ApiKey, Scope, api_key_hash, key_id_of
from lock_protocol.messages import LenderId


def new_key(lender: LenderId, name: str, scopes: Collection[Scope], at: int) -> tuple[ApiKey, str]:
    """Return a new key as it is stored, and the key itself, which only its holder keeps."""
    secret = "pl_" + new_secret()
    key_hash = api_key_hash(secret)
    key = ApiKey(
        key_id=key_id_of(key_hash),
        key_hash=key_hash,
        lender=lender,
        name=name,
        scopes=frozenset(scopes),
        created_at=at,
    )
    return key, secret
