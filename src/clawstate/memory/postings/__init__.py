"""Packed postings: exact ranked word search in numpy, over any store of blobs (decision 40)."""
