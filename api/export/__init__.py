"""Rows for spreadsheets, pandas, DuckDB and friends: which tables there are, and each format's writer."""
