"""
HNSW snapshots of the vectors of one namespace: derived data, memory-mapped, made as a whole.

Delete them and nothing is lost but speed. `manifest` says what a snapshot is of, `snapshot` reads
one, `build` makes one.
"""
