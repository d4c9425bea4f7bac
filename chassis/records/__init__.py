"""Records: resources of a tenant that are kept, changed and removed, one at a time or many, and tell what becomes of them."""

from chassis.records.batches import BatchStore
from chassis.records.drafts import Draft, Edit
from chassis.records.projections import Projection
from chassis.records.records import Events, Records
from chassis.records.resource import Resource, advance, begin, resource
from chassis.records.store import Store

__all__ = ["BatchStore", "Draft", "Edit", "Events", "Projection", "Records", "Resource", "Store", "advance", "begin", "resource"]
