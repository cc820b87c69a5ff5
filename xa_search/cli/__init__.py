"""The command line: words and options in, printed tables and an exit code out. Only here is anything printed.

main: the program and its errors. search_commands, finding_commands, report_commands, feedback_commands, data_commands,
machine_commands, serving_commands: the other commands. options, completion: what they share. interrupts: Ctrl-C, once
and twice. display, json_progress: a running search; search_log: the file of what it said. tables, search_tables,
json_output: what a finished command shows; light_tables: without torch. plain: text from outside, made fit for a
terminal. reference: docs/commands.md.
Everything heavy is imported when a command runs, so that `xa-search --help` answers at once.
"""
