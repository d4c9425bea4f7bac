"""What the connection to NATS logs: that the server went and that it came back, and nothing at a peaceful end."""

import asyncio

from structlog.testing import capture_logs

from chassis.events.broker import RECONNECT_SECONDS, Broker
from tests.unit.chassis.moving import eventually
from tests.unit.chassis.servers import Nats


async def test_a_server_that_is_away_is_told_once(nats_server: Nats) -> None:
    with capture_logs() as logs:
        async with Broker(nats_server.url, name="crm") as broker:
            await nats_server.stop()
            await asyncio.sleep(3 * RECONNECT_SECONDS)
            await nats_server.start()
            await eventually(lambda: broker.client.is_connected)
            await eventually(lambda: len(logs) == 2)
    assert [(line["event"], line["log_level"]) for line in logs] == [("nats_disconnected", "warning"), ("nats_reconnected", "info")]
    assert logs[0]["error_type"]
