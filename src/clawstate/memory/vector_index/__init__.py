"""
Who is near a vector: a scan over sign bits, over the vectors of any engine; knows no database.

`codes` makes bits and rows of vectors, `scan` compares them, `table` holds them in memory, `blocks`
are their form on disk, and `nearest` keeps a table in step with a `VectorSource`.
"""
