"""`RetentionVerbs`: records leave by a policy, into the archive and back, or for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clawstate.arguments import describe, require_texts
from clawstate.errors import InvalidError
from clawstate.memory.filters import Moment, filter_from
from clawstate.memory.service.forgetting import ForgetVerbs
from clawstate.memory.validation import check_name

if TYPE_CHECKING:
    from clawstate.memory.retention import RetentionPolicy, RetentionReport
    from clawstate.memory.versions import RecordVersion

MAX_PAGE = 1_000_000


class RetentionVerbs(ForgetVerbs):
    """Archives and forgets records by a policy or a filter."""

    def retain(
        self,
        policy: RetentionPolicy | None = None,
        *,
        dry_run: bool = False,
        compact: bool = True,
    ) -> RetentionReport:
        """
        Archive and forget what *policy* says, drop what has expired, and *compact* after that.

        By default it is the policy of the setting `memory.retention`. A *dry_run* tells what would
        be done. Raises `InvalidError` before anything is done, also where there is no policy.
        """
        from clawstate.memory.retention import RetentionPolicy, retain  # noqa: PLC0415 - seldom

        policy = policy or self.retention_policy()
        if policy is None:
            hint = "set memory.retention.rules, or give a RetentionPolicy"
            raise InvalidError("policy", "is missing, and none is set", hint)
        if not isinstance(policy, RetentionPolicy):
            raise InvalidError("policy", f"is {describe(policy)}", "give a RetentionPolicy")
        done = retain(self._engine, policy, now=self._clock(), dry_run=dry_run)
        if not dry_run and done.forgotten and self._has_map:
            self._map.forget(done.forgotten)
        if compact and not dry_run and (done.forgotten or done.expired):
            self.compact(keep_updates=True)
        return done

    def retention_policy(self) -> RetentionPolicy | None:
        """Return the policy of the setting `memory.retention`; raises `ConfigError`."""
        return None if self._policy is None else self._policy()

    def archive(self, record_ids: Sequence[str]) -> int:
        """Take the records out of searches, lists and pages, to be restored; return how many."""
        return self._engine.versions.archive([*require_texts("ids", record_ids)])

    def restore(self, record_ids: Sequence[str]) -> int:
        """Put archived records back as they were; return how many were archived."""
        return self._engine.versions.restore([*require_texts("ids", record_ids)])

    def archived(self, *, after: str | None = None, limit: int = 100) -> list[RecordVersion]:
        """Return what is archived in the order of ids, *limit* at most, behind the id *after*."""
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
            raise InvalidError("limit", f"is not a whole number from 1 to {MAX_PAGE:,}")
        if after is not None:
            check_name("after", after)
        return self._engine.versions.archived(after, limit)

    def forget_matching(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        dry_run: bool = False,
    ) -> int:
        """
        Forget all records that meet the demands, and return how many; as in `records`.

        No import brings them back. A *dry_run* only counts. Raises `InvalidError` where nothing is
        demanded: that would be all.
        """
        from clawstate.memory.retention import matching_ids  # noqa: PLC0415 - seldom needed

        chosen = filter_from(
            namespace=namespace, tags=tags, source=source, where=where, since=since, until=until
        )
        if chosen.is_plain:
            raise InvalidError("where", "demands nothing", "name a tag, a source, a time or a key")
        ids = matching_ids(self._engine, chosen)
        return len(ids) if dry_run else self.delete_many(ids)
