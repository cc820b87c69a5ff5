"""The claims of the XeroAlign paper, held against what finished searches measured.

statements: the claims as data, and published scores. evidence: what searches measured. comparing: systems held against
each other, on equal budgets. verdicts: the rulings, as table cells and files. feedback: those of feedback
runs, on a claim of our own.
"""
