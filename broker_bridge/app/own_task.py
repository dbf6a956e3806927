"""Waiting for what runs in a task of its own.

Before Python 3.12 a task group that fails can leave a cancellation behind in its task, and one that is failing already
swallows the cancellation that comes then. So what goes on after a task group has failed does not share its task.
"""

import asyncio


async def over(task: "asyncio.Task[None]") -> None:
    """Wait until a task is over, and leave in it what it has come to; when cancelled, end it first."""
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        raise
