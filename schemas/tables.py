"""All tables: the record classes in schemas/records that have a table name.

A new table is a new file there; there is no list to extend.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from schemas import records
from schemas.base import Record


def _records() -> Iterator[type[Record]]:
    for found in pkgutil.iter_modules(records.__path__):
        module = importlib.import_module(f"{records.__name__}.{found.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Record) and value.TABLE:
                yield value


TABLES: dict[str, type[Record]] = {record.TABLE: record for record in _records()}
"""Table name -> record class of its rows."""
