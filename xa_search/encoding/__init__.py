"""Encoding: utterances become tables of token ids on disk, and rows of tables become batches.

tokenisation: words to sub-words, and the one position of a word that is scored. store: a corpus on disk, its labels and
pairs. table: one memory-mapped table. batches: rows without padding, in an order that a seed decides. files: files that
appear whole or not at all, and a node's copies of them. locks: who writes one. template: what makes texts
alike. held_out: which rows train, select, and are kept. plain_tokens: special tokens as text.
private_folders: temporary folders, and what killed processes left of them.
"""
