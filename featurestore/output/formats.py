"""The forms in which rows can be printed or written."""

from __future__ import annotations

PRINTED_FORMATS = ("table", "csv", "json", "ndjson")
FILE_FORMATS = (".parquet", ".arrow", ".csv", ".json", ".ndjson", ".npz")
