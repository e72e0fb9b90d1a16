"""Long-term memory: records, the indexes that find them, and the ranking of what was found."""
