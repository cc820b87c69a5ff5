"""Faulty input for every place where input comes in. In: a random generator. Out: an outcome, or an AssertionError.

cases: their seeds and outcomes. mutations: of bytes, of JSON values. samples: a small valid corpus for each reader.
corpora: what has to hold for any files. commands: what a user sees of them. settings: label maps and search spaces.
served: what is asked of a served model. targets: all of them by name.
"""
