"""The parts of a state, their verbs awaited; each method is the one of that name (see `verb`)."""

from __future__ import annotations

from pathlib import Path

from clawstate.aio.workers import Part, listing, verb
from clawstate.config.service import Config
from clawstate.memory.service import Memory
from clawstate.openclaw.owner import Owner
from clawstate.stores.auth import AuthProfiles
from clawstate.stores.dedupe import PersistentDedupe
from clawstate.stores.device_auth import DeviceAuth
from clawstate.stores.devices import Devices
from clawstate.stores.identity import Identity
from clawstate.stores.pairing import DeviceFlow, Pairing
from clawstate.stores.sessions import Sessions
from clawstate.stores.transcripts import Transcripts


class AsyncAuthProfiles(Part[AuthProfiles]):
    """The credentials of one agent."""

    get = verb(AuthProfiles.get)
    require = verb(AuthProfiles.require)
    profiles = verb(AuthProfiles.profiles)
    page = verb(AuthProfiles.page)
    upsert = verb(AuthProfiles.upsert)
    keep = verb(AuthProfiles.keep)
    remove = verb(AuthProfiles.remove)
    reload = verb(AuthProfiles.reload)
    secret = verb(AuthProfiles.secret)
    order = verb(AuthProfiles.order)
    stored_order = verb(AuthProfiles.stored_order)
    set_order = verb(AuthProfiles.set_order)
    usage = verb(AuthProfiles.usage)
    rests_until = verb(AuthProfiles.rests_until)
    standing = verb(AuthProfiles.standing)
    mark_used = verb(AuthProfiles.mark_used)
    mark_failure = verb(AuthProfiles.mark_failure)
    end_rest = verb(AuthProfiles.end_rest)
    mark_good = verb(AuthProfiles.mark_good)
    last_good = verb(AuthProfiles.last_good)
    refresh = verb(AuthProfiles.refresh)
    merge = verb(AuthProfiles.merge)
    import_legacy = verb(AuthProfiles.import_legacy)
    document = verb(AuthProfiles.document)
    problems = verb(AuthProfiles.problems)
    check = verb(AuthProfiles.check)


class AsyncConfig(Part[Config]):
    """The configuration."""

    @property
    def path(self) -> Path:
        """The file in use, which need not exist."""
        return self._part().path

    @property
    def overlay_path(self) -> Path:
        """The file beside it for settings that OpenClaw does not know (decision 24)."""
        return self._part().overlay_path

    @property
    def owner(self) -> Owner:
        """To whom the directory of the configuration belongs, such as an OpenClaw."""
        return self._part().owner

    get = verb(Config.get)
    require = verb(Config.require)
    resolve = verb(Config.resolve)
    redacted = verb(Config.redacted)
    secret = verb(Config.secret)
    view = verb(Config.view)
    agent_view = verb(Config.agent_view)
    invalidate = verb(Config.invalidate)
    changed = verb(Config.changed)
    on_change = verb(Config.on_change)
    watch = verb(Config.watch)
    issues = verb(Config.issues)
    written = verb(Config.written)
    agents = verb(Config.agents)
    set = verb(Config.set)
    unset = verb(Config.unset)
    text = verb(Config.text)
    replace = verb(Config.replace)
    history = verb(Config.history)
    value_at = verb(Config.value_at)
    put_back = verb(Config.put_back)
    diff = verb(Config.diff)
    undo = verb(Config.undo)
    misplaced = verb(Config.misplaced)
    set_apart = verb(Config.set_apart)
    guard = verb(Config.guard)


class AsyncDedupe(Part[PersistentDedupe]):
    """What was handled already."""

    check_and_record = verb(PersistentDedupe.check_and_record)
    check_many = verb(PersistentDedupe.check_many)
    seen = verb(PersistentDedupe.seen)
    merge = verb(PersistentDedupe.merge)
    forget = verb(PersistentDedupe.forget)
    warm_up = verb(PersistentDedupe.warm_up)
    prune = verb(PersistentDedupe.prune)
    namespaces = verb(PersistentDedupe.namespaces)
    page = verb(PersistentDedupe.page)
    clear_memory = verb(PersistentDedupe.clear_memory)
    stats = verb(PersistentDedupe.stats)
    statistics = verb(PersistentDedupe.statistics)
    check = listing(PersistentDedupe.check)


class AsyncDeviceAuth(Part[DeviceAuth]):
    """The tokens that this device holds."""

    @property
    def device_id(self) -> str | None:
        """The device whose tokens are used; `None` if there is neither a key pair nor a token."""
        return self._part().device_id

    tokens = verb(DeviceAuth.tokens)
    get = verb(DeviceAuth.get)
    set = verb(DeviceAuth.set)
    merge = verb(DeviceAuth.merge)
    remove = verb(DeviceAuth.remove)
    foreign = verb(DeviceAuth.foreign)
    discard_foreign = verb(DeviceAuth.discard_foreign)
    check = listing(DeviceAuth.check)


class AsyncDevices(Part[Devices]):
    """The paired devices."""

    collect = verb(Devices.collect)
    paired = verb(Devices.paired)
    page = verb(Devices.page)
    get = verb(Devices.get)
    issue = verb(Devices.issue)
    verify = verb(Devices.verify)
    rotate = verb(Devices.rotate)
    merge = verb(Devices.merge)
    revoke = verb(Devices.revoke)
    rename = verb(Devices.rename)
    remove = verb(Devices.remove)
    refuse = verb(Devices.refuse)
    was_used = verb(Devices.was_used)
    malformed = verb(Devices.malformed)
    check = listing(Devices.check)


class AsyncIdentity(Part[Identity]):
    """The key pair of this device."""

    load_or_create = verb(Identity.load_or_create)
    get = verb(Identity.get)
    merge = verb(Identity.merge)

    @property
    def device_id(self) -> str:
        """The id by which gateways know this device: the SHA-256 of its public key, in hex."""
        return self._part().device_id

    @property
    def public_key(self) -> str:
        """The public key, in base64url."""
        return self._part().public_key

    sign = verb(Identity.sign)
    mismatch = verb(Identity.mismatch)
    correct_id = verb(Identity.correct_id)
    check = listing(Identity.check)


class AsyncMemory(Part[Memory]):
    """What is remembered."""

    add = verb(Memory.add, embeds=True)
    add_many = verb(Memory.add_many, embeds=True)
    get = verb(Memory.get)
    get_many = verb(Memory.get_many)
    require = verb(Memory.require)
    update = verb(Memory.update, embeds=True)
    tag = verb(Memory.tag)
    supersede = verb(Memory.supersede, embeds=True)
    history = verb(Memory.history)
    changes = verb(Memory.changes)
    activity = verb(Memory.activity)
    put_back = verb(Memory.put_back)
    find_ids = verb(Memory.find_ids)
    forget_history = verb(Memory.forget_history)
    conflicts = verb(Memory.conflicts)
    duplicates = verb(Memory.duplicates)
    resolve = verb(Memory.resolve, embeds=True)
    retain = verb(Memory.retain)
    retention_policy = verb(Memory.retention_policy)
    archive = verb(Memory.archive)
    restore = verb(Memory.restore)
    archived = verb(Memory.archived)
    forget_matching = verb(Memory.forget_matching)
    delete = verb(Memory.delete)
    delete_many = verb(Memory.delete_many)
    forget = verb(Memory.forget)
    forget_source = verb(Memory.forget_source)
    compact = verb(Memory.compact)
    records = verb(Memory.records)
    page = verb(Memory.page)
    search = verb(Memory.search, embeds=True)
    map = verb(Memory.map)
    stop_map = verb(Memory.stop_map)
    explain = verb(Memory.explain, embeds=True)
    capture = verb(Memory.capture, embeds=True)
    recall = verb(Memory.recall, embeds=True)
    inbox = verb(Memory.inbox)
    accept = verb(Memory.accept, embeds=True)
    reject = verb(Memory.reject)
    optimize = verb(Memory.optimize, embeds=True)
    reembed = verb(Memory.reembed, embeds=True)
    discard_reembedding = verb(Memory.discard_reembedding)
    rebuild = verb(Memory.rebuild)
    needs_optimizing = verb(Memory.needs_optimizing)
    stats = verb(Memory.stats)
    check = verb(Memory.check)
    repair = verb(Memory.repair, embeds=True)
    now = verb(Memory.now)


class AsyncPairing(Part[Pairing]):
    """The pending pairing requests."""

    request = verb(Pairing.request)
    pending = verb(Pairing.pending)
    page = verb(Pairing.page)
    expires_at = verb(Pairing.expires_at)
    approve = verb(Pairing.approve)
    approve_request = verb(Pairing.approve_request)
    reject_request = verb(Pairing.reject_request)
    reject = verb(Pairing.reject)
    prune = verb(Pairing.prune)
    stale = verb(Pairing.stale)
    check = listing(Pairing.check)


class AsyncDeviceFlow(Part[DeviceFlow]):
    """The device's side of pairing."""

    ask = verb(DeviceFlow.ask)
    collect = verb(DeviceFlow.collect)
    invite = verb(DeviceFlow.invite)
    redeem = verb(DeviceFlow.redeem)
    prune = verb(DeviceFlow.prune)


class AsyncSessions(Part[Sessions]):
    """The sessions."""

    resolve = verb(Sessions.resolve)
    get = verb(Sessions.get)
    require = verb(Sessions.require)
    entries = verb(Sessions.entries)
    page = verb(Sessions.page)
    update = verb(Sessions.update)
    change_all = verb(Sessions.change_all)
    update_store = verb(Sessions.update_store)
    merge = verb(Sessions.merge)
    reset = verb(Sessions.reset)
    delete = verb(Sessions.delete)
    restore = verb(Sessions.restore)
    archived = verb(Sessions.archived)
    as_of = verb(Sessions.as_of)
    changes = verb(Sessions.changes)
    put_back = verb(Sessions.put_back)
    archive_page = verb(Sessions.archive_page)
    prune = verb(Sessions.prune)
    known_ids = verb(Sessions.known_ids)
    ended_ids = verb(Sessions.ended_ids)
    collect = verb(Sessions.collect)
    check = verb(Sessions.check)
    repair = verb(Sessions.repair)


class AsyncTranscripts(Part[Transcripts]):
    """The messages of the sessions."""

    append = verb(Transcripts.append)
    import_lines = verb(Transcripts.import_lines)
    fork = verb(Transcripts.fork)
    delete = verb(Transcripts.delete)
    prune = verb(Transcripts.prune)
    messages = verb(Transcripts.messages)
    message_counts = verb(Transcripts.message_counts)
    volume = verb(Transcripts.volume)
    get = verb(Transcripts.get)
    search = verb(Transcripts.search)
    sessions = verb(Transcripts.sessions)
    page = verb(Transcripts.page)
    message_page = verb(Transcripts.message_page)
    info = verb(Transcripts.info)
    count = verb(Transcripts.count)
    stats = verb(Transcripts.stats)
    export = verb(Transcripts.export)
    check = verb(Transcripts.check)
    optimize = verb(Transcripts.optimize)
