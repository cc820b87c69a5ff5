"""Faulty input for every place where input comes in. In: a random generator. Out: a fault, or nothing.

mutations: of bytes, of JSON values. samples: a small valid corpus for each reader. corpora: what has to hold for any
files. settings: label maps and search spaces. served: what is asked of a served model. targets: all of them by name.
A case is made by a generator with a seed: the same seed makes the same case.
"""
