"""Feedback: verdicts of people on what a model said, and a second stage of training that learns from them.

judgements: one verdict; files: many of them, read and written. check: repaired, resolved, counted. lessons: what a
verdict teaches; losses: how it is learned; objective: beside the other losses of a step. stage: a trial that learns
from feedback. arms: whose verdicts are held against each other; given: those of people. pool, simulation: verdicts
made from gold labels. answer: what the languages of feedback come to.
"""
