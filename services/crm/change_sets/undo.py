"""What becomes of one record when the change that it was part of is undone. Later edits are kept, field by field."""

from dataclasses import dataclass, field
from typing import Any

from chassis import etags, masks
from chassis.records import Edit
from services.crm.change_sets.store import Change
from services.crm.records import rules
from services.crm.records.actions import Records


@dataclass
class Undo:
    """What is to be done with some records, by what was done to them."""

    to_delete: list[str] = field(default_factory=list)
    to_restore: list[str] = field(default_factory=list)
    to_change: list[Edit[Any]] = field(default_factory=list)
    kept: dict[str, list[str]] = field(default_factory=dict)

    def take(self, records: Records[Any], change: Change, now: Any) -> None:
        """Decide about one record as it is now; None when it was purged meanwhile: then there is nothing left to undo."""
        if now is None:
            return
        if change.before is None:
            self._take_created(change, now)
            return
        before, after = records.kind.FromString(change.before), records.kind.FromString(change.after or b"")
        if after.HasField("delete_time"):
            self._take_deleted(now)
        elif now.HasField("delete_time"):
            self.kept[now.id] = list(masks.changed(before, after).paths)
        else:
            self._take_changed(before, after, now)

    def _take_created(self, change: Change, now: Any) -> None:
        if now.HasField("delete_time"):
            return
        if etags.version(now.etag) == change.version:
            self.to_delete.append(now.id)
        else:
            self.kept[now.id] = []

    def _take_deleted(self, now: Any) -> None:
        if now.HasField("delete_time"):
            self.to_restore.append(now.id)

    def _take_changed(self, before: Any, after: Any, now: Any) -> None:
        changed = masks.changed(before, after)
        later = set(masks.changed(after, now).paths)
        mine = [path for path in changed.paths if path not in later]
        kept = [path for path in changed.paths if path in later]
        if kept:
            self.kept[now.id] = kept
        if mine:
            self.to_change.append(Edit(now.id, "", lambda current: _with(current, before, mine)))


def _with(current: Any, before: Any, paths: list[str]) -> Any:
    """Return the record with fields as they were, the form in which they were kept included."""
    rules.must_be_live("record", deleted=current.HasField("delete_time"))
    after = type(current)()
    after.CopyFrom(current)
    for path in paths:
        after.ClearField(path)
        part = type(current)()
        descriptor = before.DESCRIPTOR.fields_by_name[path]
        if descriptor.is_repeated:
            getattr(part, path).MergeFrom(getattr(before, path))
        elif descriptor.message_type is None:
            setattr(part, path, getattr(before, path))
        elif before.HasField(path):
            getattr(part, path).CopyFrom(getattr(before, path))
        after.MergeFrom(part)
    return after
