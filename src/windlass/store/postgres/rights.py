"""What a user of the database may do there, asked before anything is tried: what is missing is named with a remedy."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from windlass.errors import Refused, Unavailable
from windlass.store.tables import metadata
from windlass.store.transaction import Transaction

#: Of the tables that a right is missing on, how many are named.
_NAMED: Final = 3
_WHO: Final = (
    "SELECT quote_ident(current_user), current_schema(), has_schema_privilege(current_schema(), 'CREATE'), "
    "pg_is_in_recovery(), current_setting('default_transaction_read_only'), "
    "current_setting('search_path')"
)
#: The rights on tables that are missing, in the order in which they are granted.
_MISSING: Final = (
    "SELECT c.relname, p.name FROM pg_class c "
    "CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) WITH ORDINALITY AS p (name, place) "
    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') "
    "AND NOT has_table_privilege(c.oid, p.name) ORDER BY p.place, c.relname"
)
_SEQUENCES: Final = (
    "SELECT t.relname FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i') "
    "JOIN pg_class t ON t.oid = d.refobjid WHERE s.relnamespace = current_schema()::regnamespace "
    # In no other order: of what is no sequence this right cannot be asked.
    "AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') ELSE false END ORDER BY 1"
)
_OWNERS: Final = (
    "SELECT DISTINCT c.relname, quote_ident(pg_get_userbyid(c.relowner)) FROM pg_class c "
    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') "
    "AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1"
)


def require_rights(tx: Transaction, shown: str, *, changes: bool) -> None:
    """Raise where this user cannot work on the store at `shown`; `changes` says that its schema is to be changed.

    Raises Unavailable where the database takes no writes at all, Refused where a right is missing.
    """
    role, schema, may_create, replica, read_only, path = tx.cursor.execute(_WHO).fetchone()
    if replica:
        raise Unavailable(
            f"The database {shown} is a replica, which takes no writes: name the server that does, or all of them with "
            "`?target_session_attrs=read-write`."
        )
    if read_only == "on":
        raise Unavailable(
            f"The database {shown} takes no writes, for default_transaction_read_only is on: look who set it for the "
            f"server, the database or the role, and take it back, such as with `ALTER ROLE {role} RESET "
            "default_transaction_read_only`."
        )
    _require_schema(role, schema, path, shown)
    if changes and not may_create:
        raise Refused(
            f"The role {role} may not make tables in the database {shown}; nothing was changed: "
            f"`GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}` lets it."
        )
    if changes:
        _require_ownership(tx, role, shown)
    _require_tables(tx, role, schema, shown)


def require_a_schema(tx: Transaction, shown: str) -> None:
    """Raise Refused where this user sees no schema in which a store could be."""
    role, schema, _, _, _, path = tx.cursor.execute(_WHO).fetchone()
    _require_schema(role, schema, path, shown)


def _require_schema(role: str, schema: str | None, path: str, shown: str) -> None:
    if schema is None:
        raise Refused(
            f"The role {role} may use no schema of its search_path ({path}) in the database {shown}: "
            f"`GRANT USAGE, CREATE ON SCHEMA public TO {role}` lets it."
        )


def _require_ownership(tx: Transaction, role: str, shown: str) -> None:
    others = [(table, owner) for table, owner in tx.cursor.execute(_OWNERS).fetchall() if table in metadata.tables]
    if others:
        table, owner = others[0]
        raise Refused(
            f"The schema in the database {shown} is to be brought up, and only {owner}, who owns {table}, may do that; "
            f"nothing was changed: run `windlass db upgrade` as {owner}, or `GRANT {owner} TO {role}`."
        )


def _require_tables(tx: Transaction, role: str, schema: str, shown: str) -> None:
    missing: defaultdict[str, list[str]] = defaultdict(list)
    for table, right in tx.cursor.execute(_MISSING).fetchall():
        if table in metadata.tables:
            missing[table].append(right)
    if not missing:
        numbered = [table for (table,) in tx.cursor.execute(_SEQUENCES).fetchall() if table in metadata.tables]
        if numbered:
            raise Refused(
                f"The role {role} may not number rows of {numbered[0]} in the database {shown}: "
                f"`GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}` lets it."
            )
        return
    tables = sorted(missing)
    rights = ", ".join(dict.fromkeys(right for table in tables for right in missing[table]))
    more = f" and {len(tables) - _NAMED} more tables" if len(tables) > _NAMED else ""
    named = ", ".join(f"{schema}.{table}" for table in tables) if len(tables) <= _NAMED else None
    on = f"ALL TABLES IN SCHEMA {schema}" if named is None else named
    raise Refused(
        f"The role {role} lacks {rights} on {', '.join(tables[:_NAMED])}{more} in the database {shown}: "
        f"`GRANT {rights} ON {on} TO {role}` lets it work there."
    )
