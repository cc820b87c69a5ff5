"""A rehearsed search, and the forecast of the real one.

setup: a home of its own, and a space made small. driver: a real run that is watched. step_time: how long a step takes.
forecast: hours by model size. search_forecast: hours, cost and disk, in words. The rehearsal itself is a workflow.
"""
