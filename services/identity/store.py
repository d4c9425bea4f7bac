"""The collection in which identity's tables are declared, each in the store of its noun."""

from typing import Final

from sqlalchemy import MetaData

METADATA: Final = MetaData()
