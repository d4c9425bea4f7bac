"""The name of the transaction setting that holds the tenant."""

from typing import Final

TENANT: Final = "app.tenant_id"
