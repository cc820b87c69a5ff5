"""The claims of the XeroAlign paper, held against what finished searches measured.

statements: the claims as data, and published scores. evidence: what searches measured, and how systems compare.
verdicts: the rulings, as table cells and files.
"""
