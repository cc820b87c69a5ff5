"""What has to hold for anything that is asked of a served model. In: a model, a random generator. Out: what it answered.

Asked as MLflow's server is: a body of JSON. What is no request is refused with status 400, never with 500, and there is
one answer for each row, in their order.
"""

import json
import random
from typing import Any

from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc.scoring_server import invocations

from fuzzing.mutations import any_value, mutated

TEXTS = ("wake me up at 7", "เปิดไฟในครัว", "e\u0301\u200bf \u00a0 x", "", " ", "\ud800", "x" * 3000, "a ||| b", "\0", None, 7)


def check_served(model: PyFuncModel, rng: random.Random) -> str:
    """Ask for some rows, and hold the answers against them; or ask for what are none."""
    rows = [rng.choice(TEXTS) if rng.random() < 0.8 else any_value(rng) for _ in range(rng.randint(0, 4))]
    forms: tuple[Any, ...] = (
        {"inputs": rows},
        {"instances": rows},
        {"inputs": {"text": rows}},
        {"instances": [{"text": row} for row in rows]},
        {"dataframe_split": {"columns": ["text"], "data": [[row] for row in rows]}},
        {"dataframe_records": [{"text": row} for row in rows]},
        {"inputs": any_value(rng)},
        {"dataframe_split": any_value(rng)},
        {"dataframe_records": any_value(rng)},
        {"inputs": rows, "params": any_value(rng)},
        any_value(rng),
    )
    body = json.dumps(rng.choice(forms))
    if rng.random() < 0.2:
        body = mutated(rng, body.encode()).decode("utf-8", "replace")
    answer = invocations(body, "application/json", model, model.metadata.get_input_schema())
    assert answer.status in (200, 400, 415), (body[:300], answer.status, answer.response[:600])
    if answer.status != 200:
        return "refused"
    found = json.loads(answer.response)["predictions"]
    assert all("error" in one or {"intent", "slots"} <= one.keys() for one in found), body[:300]
    return "answered"
