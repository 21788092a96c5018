"""Any number of products in a database of svc-catalog, in minutes: its own demo products first, then copies of them by SQL.

A copy differs from its original in what is its own: ids, slug, SKUs and the moment of publication; words, prices, attributes,
variants, stock and pictures are the original's. Nothing is told to other services, and no stock movements are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg import sql

#: So many demo products are made by the service itself; the others are their copies.
ORIGINALS = 2000
PICTURES = 5
#: Those that take longest first.
TABLES = ("catalog_variant", "catalog_productimage", "catalog_stock", "catalog_product")
AT_ONCE = 2


def _uuid7(moment: str, salt: str) -> str:
    """SQL of a UUID of version 7 that is the same for the same moment and salt."""
    time = f"lpad(to_hex((extract(epoch FROM {moment}) * 1000)::bigint), 12, '0') || '7'"
    return f"overlay(overlay(md5({salt}) PLACING {time} FROM 1) PLACING '8' FROM 17)::uuid"


_PUBLISHED = "o.start + series.number * o.pace"
_PRODUCT_ID = _uuid7(_PUBLISHED, "'product ' || series.number")
_VARIANT_ID = _uuid7(
    f"{_PUBLISHED} + (o.position + 1) * interval '1 millisecond'",
    "'variant ' || series.number || ' ' || o.position",
)
_HEX = "to_hex(series.number)"
#: What of a copy is its own, by table; every other column is the original's.
_OWN: dict[str, dict[str, str]] = {
    "catalog_product": {
        "id": _PRODUCT_ID,
        "slug": f"regexp_replace(o.slug, '[^-]*$', '') || {_HEX}",
        "published_at": _PUBLISHED,
        "created_at": _PUBLISHED,
    },
    "catalog_variant": {
        "id": _VARIANT_ID,
        "product_id": _PRODUCT_ID,
        "sku": f"split_part(o.sku, '-', 1) || '-' || {_HEX} || '-' || o.position",
        "created_at": _PUBLISHED,
    },
    "catalog_stock": {"variant_id": _VARIANT_ID},
    "catalog_productimage": {
        "id": _uuid7(_PUBLISHED, "'picture ' || series.number || ' ' || o.position"),
        "product_id": _PRODUCT_ID,
        "created_at": _PUBLISHED,
    },
}
#: How an original stands in `bench`: with its place among the products, and the times from which the copies' are reckoned.
_ORIGINALS = """
    CREATE SCHEMA IF NOT EXISTS bench;
    CREATE TABLE bench.places AS
        SELECT id AS product_id, row_number() OVER (ORDER BY published_at) - 1 AS place, first_value(published_at) OVER w AS start,
            (max(published_at) OVER () - min(published_at) OVER ()) / (count(*) OVER () - 1) AS pace
        FROM catalog_product WINDOW w AS (ORDER BY published_at);
    CREATE TABLE bench.catalog_product AS
        SELECT p.*, l.place, l.start, l.pace FROM catalog_product p JOIN bench.places l ON l.product_id = p.id;
    CREATE TABLE bench.catalog_variant AS
        SELECT v.*, l.place, l.start, l.pace FROM catalog_variant v JOIN bench.places l USING (product_id);
    CREATE TABLE bench.catalog_stock AS
        SELECT s.*, v.position, l.place, l.start, l.pace FROM catalog_stock s
        JOIN catalog_variant v ON v.id = s.variant_id JOIN bench.places l USING (product_id);
    CREATE TABLE bench.catalog_productimage AS
        SELECT i.*, l.place, l.start, l.pace FROM catalog_productimage i JOIN bench.places l USING (product_id);
    ANALYZE bench.catalog_product, bench.catalog_variant, bench.catalog_stock, bench.catalog_productimage;
"""
#: Named as `catalog.services.images` names what it draws; there are no files.
_PICTURES = """
    INSERT INTO catalog_productimage (id, created_at, updated_at, product_id, position, file, thumbnail, alt, width, height)
    SELECT gen_random_uuid(), p.created_at, now(), p.id, n,
        'drawn/' || p.id || '/' || (n + 1) || '-' || substr(md5(p.id || n::text), 1, 12) || '.jpg',
        'drawn/' || p.id || '/' || (n + 1) || '-' || substr(md5(p.id || n::text), 1, 12) || '-thumb.jpg',
        p.name || ', picture ' || (n + 1), 900, 900
    FROM catalog_product p, generate_series(0, %s) n;
    """
_THUMBNAILS = """
    UPDATE catalog_product p SET thumbnail = i.thumbnail FROM catalog_productimage i WHERE i.product_id = p.id AND i.position = 0
"""
#: A copy's search vector is its original's, since its words are: computing it again would take most of the time.
_COPY_VECTORS = "ALTER TABLE catalog_product ALTER COLUMN search_vector DROP EXPRESSION IF EXISTS"
_COUNTS = """
    UPDATE catalog_category c SET product_count =
        (SELECT count(*) FROM catalog_product p WHERE p.category_id = c.id AND p.status = 'published')
"""


class Products:
    """The products in one database, which grow from the service's demo products to any number.

    `url` is that of a superuser of a server that nobody else uses: while copies are written, references are not checked row by
    row, and the server's own settings are changed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.count = 0

    def prepare(self) -> None:
        """Give the originals, which are there already, their pictures."""
        with self._connect() as connection:
            connection.execute(_PICTURES, [PICTURES - 1])
            connection.execute(_THUMBNAILS)
            connection.execute(_COPY_VECTORS)
            connection.execute(_ORIGINALS)
            row = connection.execute("SELECT count(*) FROM catalog_product").fetchone()
            self.count = int(row[0]) if row else 0

    def grow(self, count: int) -> None:
        """Until there are `count`; indexes are made anew afterwards, and statistics gathered."""
        if count > self.count:
            with self._hurried() as connection:
                indexes = _take_indexes(connection)
                # Products and what belongs to them at the same time: nothing checks references meanwhile.
                self._together([partial(self._copy, table, count) for table in TABLES])
                self.count = count
                self._together([partial(self._make_index, text) for text in indexes])
        with self._connect() as connection:
            connection.execute(_COUNTS)
            connection.execute(f"VACUUM (ANALYZE) {', '.join(TABLES)}, catalog_category")
            connection.execute("CHECKPOINT")

    @contextmanager
    def _hurried(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Meanwhile the server writes its log for speed: after a crash of the machine these rows would be made again."""
        settings = {"full_page_writes": "off", "max_wal_size": "8GB"}
        with self._connect() as connection:
            try:
                for name, value in settings.items():
                    connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
                connection.execute("SELECT pg_reload_conf()")
                yield connection
            finally:
                for name in settings:
                    connection.execute(f"ALTER SYSTEM RESET {name}".encode())
                connection.execute("SELECT pg_reload_conf()")

    def slugs(self, wanted: int) -> list[str]:
        """Of `wanted` products, evenly spread over all."""
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT slug FROM catalog_product ORDER BY md5(id::text) LIMIT %s", [wanted]
            ).fetchall()
        return [str(row[0]) for row in rows]

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        connection = psycopg.connect(self._url, autocommit=True)
        connection.execute("SET maintenance_work_mem = '512MB'")
        return connection

    def _together(self, tasks: Sequence[Callable[[], None]]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for task in [pool.submit(task) for task in tasks]:
                task.result()

    def _copy(self, table: str, count: int) -> None:
        with self._connect() as connection:
            connection.execute("SET session_replication_role = replica")
            columns = [
                str(row[0])
                for row in connection.execute(
                    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
                    " AND attgenerated = ''",
                    [table],
                )
            ]
            connection.execute(copying(table, columns, _OWN[table]), [self.count, count - 1, ORIGINALS])

    def _make_index(self, text: str) -> None:
        with self._connect() as connection:
            connection.execute(text.encode())


def copying(table: str, columns: Sequence[str], own: Mapping[str, str]) -> sql.Composed:
    """The statement that copies originals into `table`; its parameters are the first number, the last, and how many originals.

    Raises ValueError when a column that is a copy's own is not one of the table's.
    """
    if unknown := own.keys() - set(columns):
        raise ValueError(f"{table} has no column {', '.join(sorted(unknown))}.")
    values = [
        sql.SQL(own[name]) if name in own else sql.SQL("o.{}").format(sql.Identifier(name))
        for name in columns
    ]
    return sql.SQL(
        "INSERT INTO {} ({}) SELECT {} FROM generate_series(%s::bigint, %s::bigint) series (number)"
        " JOIN bench.{} o ON o.place = series.number %% %s::bigint"
    ).format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(values),
        sql.Identifier(table),
    )


def _take_indexes(connection: psycopg.Connection[tuple[Any, ...]]) -> list[str]:
    """Drop the indexes that no constraint stands on, and give the statements that make them again."""
    rows = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = ANY (%s::regclass[])"
        " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)",
        [list(TABLES)],
    ).fetchall()
    for name, _ in rows:
        connection.execute(f"DROP INDEX {name}".encode())
    return [str(text) for _, text in rows]
