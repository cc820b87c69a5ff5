"""Cluster files and jobs: what is wrong with a file before anything is paid for, and a search as a job of a cluster.

document: YAML whose every part knows its line. cluster_file: the machines of a file, in one form for every kind.
access_rules, capacity_rules, software_rules: what may be wrong. check: the shape, and all rules. job: Ray's jobs.
tracker_variables: what a job is told of MLflow.
"""
