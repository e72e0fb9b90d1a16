"""The seam: named collections of JSON records, on files, on SQLite or in memory."""
