"""The contestants: one file for each, all with the same face.

A work is a context manager, or an asynchronous one, that opens what it needs and yields a function. Only a call of
that function is measured; it returns how many units (events, requests, bytes) it has dealt with.
"""
