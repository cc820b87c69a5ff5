"""A search space: read, extended, validated.

plan: from a YAML file and the command line's changes to one frozen Plan; the published recipe. paper_rate: the
paper's learning rate for the steps at hand. validation: what is wrong with a space, all at once; conditions: with its
`when`. yaml_files: YAML read with the lines of its faults. shipped: where data files lie.
version: which commit this is.
"""
