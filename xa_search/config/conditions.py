"""What is wrong with the conditions of a search space. In: the space. Out: all faults, each in one line.

    align_weight:       {low: 0.1, high: 30, log: true}
    contrastive_weight: {low: 0.1, high: 10, log: true, when: {method: cross_aligner}}
    learning_rate:
      - {when: {model_size: base},  low: 1.0e-5, high: 1.0e-4, log: true}
      - {when: {model_size: large}, low: 1.0e-6, high: 2.0e-5, log: true}

Where no condition of a setting holds, it has its value in `fixed`, or its default.
"""

from collections.abc import Iterator

from xa_search.records import Parameter, SearchSpace, unknown

ALWAYS_SEARCHED = ("method", "model_size")


def condition_faults(space: SearchSpace) -> list[str]:
    """Return what is wrong with each `when`, and with lists of ranges, without the space's file."""
    return [f"{key}: {fault}" for key, parameter in space.params.items() for fault in _faults(space, key, parameter)]


def _faults(space: SearchSpace, key: str, parameter: Parameter) -> Iterator[str]:
    if key in ALWAYS_SEARCHED and (parameter.cases or parameter.when):
        yield f"every trial has a {key}; remove `when`, and write one list of choices"
        return
    for place, case in enumerate(parameter.alternatives):
        if case.cases or (parameter.cases and parameter.when):
            yield "a range in a list holds no list; write the ranges one below the other"
        if parameter.cases and not case.when:
            rest = "; a later one would never be used" if place < len(parameter.cases) - 1 else ""
            yield f"number {place + 1} of its ranges has no `when`{rest}; add one, as in `when: {{model_size: base}}`"
        for name, values in case.when.items():
            yield from _condition_faults(space, key, name, values)


def _condition_faults(space: SearchSpace, key: str, name: str, values: tuple[object, ...]) -> Iterator[str]:
    candidates = [other for other, one in space.params.items() if one.choices and not one.conditions and other != key]
    if name not in candidates:
        if name not in space.params:
            yield f"when: {name} is not searched; valid: {', '.join(candidates) or 'none, no setting has choices'}"
        else:
            yield f"when: {name} has no choices of its own; valid: {', '.join(candidates) or 'none'}"
        return
    choices = space.params[name].choices or ()
    for value in values:
        if value not in choices:
            yield f"when: {name}: {unknown(value, [str(choice) for choice in choices])}"
