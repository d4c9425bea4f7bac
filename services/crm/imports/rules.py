"""What every import keeps to: limits, and what may be done in which state."""

from datetime import timedelta
from typing import Final

MOST_BYTES: Final = 512 * 1024 * 1024
MOST_ROWS: Final = 1_048_576
"""Rows of a sheet in the usual spreadsheet programs."""
MOST_COLUMNS: Final = 500
LINE_LENGTH: Final = 1_000_000
"""Characters of one line; a longer one is no line of a table."""
NAME_LENGTH: Final = 255

CHUNK: Final = 256 * 1024
"""Bytes of the file in one row of the database."""
PATIENCE: Final = 60.0
"""Seconds that a piece of an upload waits for a database that is busy or away."""
STAGED: Final = 2_000
"""Rows that are staged in one transaction."""
APPLIED: Final = 1_000
"""Rows that are applied in one transaction (CRM-30)."""
STEP: Final = 50
"""Rows that one set of statements takes, and whose events are sealed at once."""

UNUSED: Final = timedelta(days=7)
"""Time after which an upload that nobody ran is forgotten."""
KEPT: Final = timedelta(days=90)
"""Time after which an import that ended is forgotten."""
