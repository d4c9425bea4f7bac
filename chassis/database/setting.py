"""The transaction setting that holds the tenant, and the one way into it."""

from typing import Final

from sqlalchemy import Uuid, bindparam, func, select

from chassis.database.statements import Query

TENANT: Final = "app.tenant_id"

FUNCTION: Final = f"""
    CREATE OR REPLACE FUNCTION public.enter_tenant(tenant uuid) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF current_setting('{TENANT}', true) <> '' THEN
            RAISE EXCEPTION 'a transaction has one tenant' USING ERRCODE = 'insufficient_privilege';
        END IF;
        PERFORM set_config('{TENANT}', tenant::text, true);
        RETURN tenant;
    END $$
"""
"""Sets the tenant once a transaction, so that no injected expression can change it; the runtime role cannot call set_config itself.

SET LOCAL would do as well, but takes no parameter, and as the first statement of an implicit transaction it warns.
"""

ENTER: Final = Query(select(func.enter_tenant(bindparam("tenant", type_=Uuid(as_uuid=False))).label("tenant")))
