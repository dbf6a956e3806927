"""From a request's credential to the lender that it speaks for."""

from typing import Annotated

from fastapi import Depends, Request

from broker_bridge.adapters.http.gateway import Gateway
from lock_protocol.messages import LenderId


async def _lender_of(request: Request) -> LenderId:
    gateway: Gateway = request.app.state.gateway
    return await gateway.lender(request)


Bearer = Annotated[LenderId, Depends(_lender_of)]
"""The lender whose API key the request bears."""
