"""`python -m xa_search`. In: the command line. Out: the same as `xa-search`; a job's code has no script of its own."""

from xa_search.cli.main import main

main()
