"""Giving a report's mail to delivery (I/O: broker)."""

from services.console.actions.desk import Desk
from shared.broker.topology import Exchange, Key
from shared.envelope import Envelope
from shared.wire import MAIL_TYPE, mail_headers


async def hand_over(desk: Desk, envelope: Envelope, data: bytes) -> None:
    """Have a report delivered as any other mail. Raises ActionError."""
    await desk.publish(
        Exchange.DELIVERY,
        Key.DELIVERY,
        data,
        else_="the report waits",
        message_type=MAIL_TYPE,
        headers=mail_headers(envelope),
        message_id=envelope.id,
        content_type="message/rfc822",
    )
