"""What a served model is asked. In: the body of a request, in one of MLflow's four forms. Out: a value for each row.

The forms are those of MLflow's scoring protocol: `inputs`, `instances`, `dataframe_split`, `dataframe_records`. A model
reads one column, the first; what a value is, or is not, the model itself says, row by row.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

FORMS = ("inputs", "instances", "dataframe_split", "dataframe_records")


class BadRequestError(ValueError):
    """A body that is in none of the forms; one line says what is wrong with it."""


def values_of(body: bytes) -> list[Any]:
    """Return the value of each row that a body asks about. Raises BadRequestError."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is no JSON ({error})") from error
    given = [name for name in FORMS if isinstance(asked, dict) and name in asked]
    if len(given) != 1:
        raise BadRequestError(f"the body has to be a JSON object with exactly one of: {', '.join(FORMS)}")
    form = given[0]
    value = asked[form]
    if form == "dataframe_split":
        return _of_split(value)
    if form == "dataframe_records":
        return _of_records(form, value)
    if form == "instances" and isinstance(value, list) and value and isinstance(value[0], dict):
        return _of_records(form, value)
    if isinstance(value, dict):
        value = next(iter(value.values()), None)
    if not isinstance(value, list):
        raise BadRequestError(f'{form} has to be a list of texts, or an object with one: {{"text": [...]}}')
    return value


def _of_split(table: Any) -> list[Any]:
    rows = table.get("data") if isinstance(table, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) and row for row in rows):
        raise BadRequestError(
            'dataframe_split has to be an object with a list of rows: {"columns": ["text"], "data": [[...]]}'
        )
    return [row[0] for row in rows]


def _of_records(form: str, records: Any) -> list[Any]:
    """Take the first field of the first record of each: one that lacks it asks for null."""
    if not isinstance(records, Sequence) or not all(isinstance(one, dict) for one in records):
        raise BadRequestError(f'{form} has to be a list of objects: [{{"text": "..."}}]')
    names = [name for one in records[:1] for name in one]
    if records and not names:
        raise BadRequestError(f"the first object in {form} has no field")
    return [one.get(names[0]) for one in records]
