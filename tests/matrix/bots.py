"""
Echo bots, each in a process of its own that can be killed: forked, so that nio is loaded once.

On standard input comes `start URL USER PASSWORD STEP` (`-` for no password, 0 for no step), on
standard output the id of the process; a bot prints `said` for what it was told. With a STEP it
kills itself at the so many-th of the steps below.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import wraps

from nio import InviteMemberEvent, MegolmEvent, RoomMessageText, SyncResponse

import clawstate
from clawstate.matrix import log_in
from clawstate.matrix.client import MatrixClient
from clawstate.matrix.key_store import KeyStore
from clawstate.stores.dedupe import PersistentDedupe
from clawstate.stores.matrix import BotStorage

STEPS = {
    KeyStore: ["was_received", "save_session", "save_inbound_group_session", "note_received"],
    MatrixClient: ["_on_event", "reply", "_handle_sync", "_keep_position"],
    PersistentDedupe: ["seen", "check_and_record"],
    BotStorage: ["set_sync_token"],
}


def kill_at(step: int) -> None:
    """Let this process kill itself before or after a step, at the so many-th of these moments."""
    left = [step]

    def pass_by() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(kind: type, name: str) -> None:
        call = getattr(kind, name)
        if asyncio.iscoroutinefunction(call):

            @wraps(call)
            async def awaited(*args, **kwargs):
                pass_by()
                found = await call(*args, **kwargs)
                pass_by()
                return found

            setattr(kind, name, awaited)
            return

        @wraps(call)
        def called(*args, **kwargs):
            pass_by()
            found = call(*args, **kwargs)
            pass_by()
            return found

        setattr(kind, name, called)

    for kind, names in STEPS.items():
        for name in names:
            watch(kind, name)


async def run(url: str, user: str, password: str | None, step: int) -> None:
    with clawstate.open() as state:
        client = await log_in(state, homeserver=url, user_id=user, password=password)
        if step:
            kill_at(step)
        key = client.olm.account.identity_keys["ed25519"]
        tell(f"device {client.device_id} {key}")

        async def join(room, event) -> None:
            if event.state_key == client.user_id and event.membership == "invite":
                await client.join(room.room_id)

        async def answer(room, event) -> None:
            tell(f"told {event.decrypted} {event.body}")
            content = {"msgtype": "m.text", "body": f"You said: {event.body}"}
            await client.reply(room.room_id, content, to=event)

        async def wonder(_, event) -> None:
            tell(f"unread {event.event_id}")

        async def rest(_) -> None:
            tell("rests")

        client.add_event_callback(join, InviteMemberEvent)
        client.add_event_callback(wonder, MegolmEvent)
        client.once(answer, RoomMessageText, state.dedupe)
        client.add_response_callback(rest, SyncResponse)
        await client.sync_forever(timeout=1_000)


def tell(line: str) -> None:
    sys.stdout.write(f"{os.getpid()} {line}\n")
    sys.stdout.flush()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        url, user, password, step = line.split()
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asyncio.run(run(url, user, None if password == "-" else password, int(step)))
            os._exit(0)
        sys.stdout.write(f"{pid} started\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
