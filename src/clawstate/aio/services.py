"""What a state offers around its parts, awaited: moves, places, encryption, the OpenClaw here."""

from __future__ import annotations

from pathlib import Path

from clawstate.aio.workers import Part, listing, verb
from clawstate.plugins.hooks import Hooks
from clawstate.plugins.host import Plugins
from clawstate.plugins.tools import Tools
from clawstate.records.contract import Collection, CollectionSpec
from clawstate.state.audit import Audit
from clawstate.state.backup_notes import BackupNotes
from clawstate.state.encryption import Encryption
from clawstate.state.health import Health
from clawstate.state.openclaw_view import OpenClawView
from clawstate.state.places import Places
from clawstate.state.records import Records
from clawstate.state.timeline import Timeline


class AsyncRecords(Part[Records]):
    """Where the records lie, and moving them."""

    check = listing(Records.check)
    keeps_files = verb(Records.keeps_files)
    lease = verb(Records.lease)
    pause_writers = verb(Records.pause_writers)
    upgrades = verb(Records.upgrades)
    written_since = verb(Records.written_since)
    lines_since = verb(Records.lines_since)
    roll_back = verb(Records.roll_back)
    summary = verb(Records.summary)
    start_server = verb(Records.start_server)
    copy_server = verb(Records.copy_server)
    leave_server = verb(Records.leave_server)
    stop_server = verb(Records.stop_server)
    server_status = verb(Records.server_status)
    migrate = verb(Records.migrate)
    migrate_memory = verb(Records.migrate_memory)
    restore = verb(Records.restore)
    aside = verb(Records.aside)
    clean = verb(Records.clean)
    left_behind = verb(Records.left_behind)
    taken_over = verb(Records.taken_over)
    taken_over_sentence = verb(Records.taken_over_sentence)
    has_key_pair_there = verb(Records.has_key_pair_there)
    passed_over = verb(Records.passed_over)
    retired_files = listing(Records.retired_files)
    move_away = verb(Records.move_away)


class AsyncAudit(Part[Audit]):
    """The chain over memory and conversations."""

    is_on = verb(Audit.is_on)
    turn_on = verb(Audit.turn_on)
    turn_off = verb(Audit.turn_off)
    head = verb(Audit.head)
    verify = verb(Audit.verify)

    @property
    def path(self) -> Path:
        """The database that the chain is in."""
        return self._part().path


class AsyncBackupNotes(Part[BackupNotes]):
    """Which backups were made and verified, and how often they are to be."""

    state_id = verb(BackupNotes.state_id)
    known_state = verb(BackupNotes.known_state)
    backups = verb(BackupNotes.backups)
    last_verified = verb(BackupNotes.last_verified)
    schedule = verb(BackupNotes.schedule)
    set_schedule = verb(BackupNotes.set_schedule)
    note_created = verb(BackupNotes.note_created)
    note_verified = verb(BackupNotes.note_verified)
    forget = verb(BackupNotes.forget)


class AsyncTimeline(Part[Timeline]):
    """What changed between two moments."""

    changes = verb(Timeline.changes)
    activity = verb(Timeline.activity)


class AsyncHealth(Part[Health]):
    """What is wrong with the parts."""

    check = listing(Health.check)
    private_paths = listing(Health.private_paths)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, in the order in which they are best repaired."""
        return self._part().parts


class AsyncPlaces(Part[Places]):
    """Where the parts lie that settings move elsewhere."""

    memory_db = verb(Places.memory_db)
    memory = verb(Places.memory)
    memories_elsewhere = verb(Places.memories_elsewhere)
    memory_left_behind = verb(Places.memory_left_behind)
    move_memory = verb(Places.move_memory)
    sessions = verb(Places.sessions)
    utf16_transcripts = listing(Places.utf16_transcripts)
    with_salvage = listing(Places.with_salvage)
    agent_dir = verb(Places.agent_dir)
    agent_dirs = verb(Places.agent_dirs)
    auth_profiles = verb(Places.auth_profiles)
    auth_cache = verb(Places.auth_cache)
    refresh_dir = verb(Places.refresh_dir)


class AsyncEncryption(Part[Encryption]):
    """The encryption of the credentials."""

    @property
    def is_on(self) -> bool:
        """Whether new secrets are sealed."""
        return self._part().is_on

    @property
    def choice(self) -> str:
        """What `state.encryption.key` says now."""
        return self._part().choice

    @property
    def path(self) -> Path:
        """The file of the keys."""
        return self._part().path

    keys = verb(Encryption.keys)
    sealer = verb(Encryption.sealer)
    resolve = verb(Encryption.resolve)
    source = verb(Encryption.source)
    unlock = verb(Encryption.unlock)
    problem = verb(Encryption.problem)
    summary = verb(Encryption.summary)
    check = listing(Encryption.check)
    turn_on = verb(Encryption.turn_on)
    turn_off = verb(Encryption.turn_off)
    rekey = verb(Encryption.rekey)


class AsyncOpenClawView(Part[OpenClawView]):
    """What the OpenClaw of this directory keeps."""

    sessions = verb(OpenClawView.sessions)
    credentials = verb(OpenClawView.credentials)
    problems = verb(OpenClawView.problems)


class AsyncTools(Part[Tools]):
    """The tools of the plugins that are loaded."""

    register_tool = verb(Tools.register_tool)
    remove = verb(Tools.remove)
    names = verb(Tools.names)
    get = verb(Tools.get)
    descriptions = verb(Tools.descriptions)
    call = verb(Tools.call)
    result = verb(Tools.result)


class AsyncHooks(Part[Hooks]):
    """Who listens to the events of an agent."""

    add = verb(Hooks.add)
    remove = verb(Hooks.remove)
    run = verb(Hooks.run)


class AsyncPlugins(Part[Plugins]):
    """The plugins, and what they offer."""

    @property
    def tools(self) -> AsyncTools:
        """The tools of the plugins that are loaded, and of the program."""
        return AsyncTools(lambda: self._part().tools, self._workers)

    @property
    def hooks(self) -> AsyncHooks:
        """The events of an agent, and who listens to them."""
        return AsyncHooks(lambda: self._part().hooks, self._workers)

    load = verb(Plugins.load)
    refresh = verb(Plugins.refresh)
    start = verb(Plugins.start)
    list = verb(Plugins.list)
    enable = verb(Plugins.enable)
    disable = verb(Plugins.disable)
    check = listing(Plugins.check)


class AsyncCollection(Part[Collection]):
    """One named set of records."""

    @property
    def spec(self) -> CollectionSpec:
        """What the collection was asked for with."""
        return self._part().spec

    get = verb(Collection.get)
    scan = listing(Collection.scan)
    latest = listing(Collection.latest)
    count = verb(Collection.count)
    put = verb(Collection.put)
    delete = verb(Collection.delete)
    update = verb(Collection.update)
    change_all = verb(Collection.change_all)
    change_some = verb(Collection.change_some)
    changes = verb(Collection.changes)
    version = verb(Collection.version)
    fenced = verb(Collection.fenced)
    check = listing(Collection.check)
