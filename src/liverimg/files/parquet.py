"""Tables as Parquet, written piece by piece; equal rows in equal pieces give equal bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from liverimg.files.result_tables import Cell

_TYPES: Final[Mapping[type, Any]] = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}


class ParquetTable:
    """A Parquet file that grows row group by row group.

    Args:
        path: The file.
        columns: Kind of each column by its name, in order: str, float, int or bool. Every cell may be missing.
    """

    def __init__(self, path: Path, columns: Mapping[str, type]) -> None:
        self._names = tuple(columns)
        self._schema = pa.schema([pa.field(name, _TYPES[kind]) for name, kind in columns.items()])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> ParquetTable:
        """The file is open."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """The file is whole."""
        self._writer.close()

    def write(self, rows: Sequence[Sequence[Cell | bool]]) -> None:
        """Adds a row group; one without rows is left out."""
        if not rows:
            return
        cells = zip(*rows, strict=True)
        columns = [pa.array(column, type=field.type) for column, field in zip(cells, self._schema, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
