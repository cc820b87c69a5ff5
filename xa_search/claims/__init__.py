"""The claims of the XeroAlign paper and the rules that choose, held against what finished searches measured.

statements: the claims as data, and published scores. evidence: what searches measured. comparing: systems held
against each other, on equal budgets. verdicts: the rulings, as table cells and files. feedback: those of feedback
runs, on a claim of our own. audit: what each selection rule would have picked, and what that was worth; audit_report:
in files, and over several searches.
"""
