"""
A Matrix bot that says again what it is told, in encrypted rooms too, and each message once.

    python examples/echo_bot.py https://matrix.example.org @bot:example.org < password.txt

The password is needed for the first login alone. Stop it, kill it, start it again: what was said
meanwhile is answered then. It joins the rooms that it is invited to.
"""

from __future__ import annotations

import asyncio
import getpass
import sys
from contextlib import suppress

from nio import InviteMemberEvent, MatrixRoom, RoomMessageText

import clawstate
from clawstate.matrix import log_in


async def run(homeserver: str, user_id: str, password: str | None) -> None:
    """Answer until somebody stops the program."""
    with clawstate.open() as state:
        client = await log_in(state, homeserver=homeserver, user_id=user_id, password=password)

        async def join(room: MatrixRoom, event: InviteMemberEvent) -> None:
            if event.state_key == client.user_id and event.membership == "invite":
                await client.join(room.room_id)

        async def answer(room: MatrixRoom, event: RoomMessageText) -> None:
            content = {"msgtype": "m.text", "body": f"You said: {event.body}"}
            await client.reply(room.room_id, content, to=event)

        client.add_event_callback(join, InviteMemberEvent)
        client.once(answer, RoomMessageText, state.dedupe)
        try:
            await client.sync_forever(timeout=30_000)
        finally:
            await client.close()


def main() -> None:
    """Read the password, and run until interrupted."""
    homeserver, user_id = sys.argv[1:3]
    is_asked = sys.stdin.isatty()
    password = getpass.getpass() if is_asked else sys.stdin.readline().rstrip("\n")
    with suppress(KeyboardInterrupt):
        asyncio.run(run(homeserver, user_id, password or None))


if __name__ == "__main__":
    main()
