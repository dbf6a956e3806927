"""One phone in a loop, on a real broker."""

import asyncio

from broker_bridge.app.hear import MAX_OF_ONE_PHONE
from device_sim.identities import simulated_imei
from lock_protocol.topics import PhoneTopic
from tests.broker.bridge_rig import TOPICS, running_link
from tests.conftest import PATIENCE_S, RealBroker

IMEI = simulated_imei(1)
HELLO = TOPICS.phone(IMEI, PhoneTopic.HELLO)


async def test_a_phone_in_a_loop_takes_no_more_than_its_share_of_what_waits(own_broker: RealBroker) -> None:
    other = simulated_imei(2)
    own_broker.add_phones(IMEI, other)
    async with running_link(own_broker) as running, own_broker.phone(IMEI) as loud, own_broker.phone(other) as calm:
        session = await running.next_session()
        for _ in range(20 * MAX_OF_ONE_PHONE):
            await loud.publish(HELLO, b"loud", qos=1)
        await calm.publish(TOPICS.phone(other, PhoneTopic.HELLO), b"calm", qos=1)
        received = []
        async with asyncio.timeout(PATIENCE_S):
            while (message := await session.incoming.get()).payload != b"calm":
                received.append(message)
        assert len(received) == MAX_OF_ONE_PHONE
        await loud.publish(HELLO, b"later", qos=1)
        async with asyncio.timeout(PATIENCE_S):
            assert (await session.incoming.get()).payload == b"later"
