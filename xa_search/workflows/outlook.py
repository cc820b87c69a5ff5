"""How long a planned search takes. In: a Plan. Out: lines with its hours, by how many trials run at a time, and what is
not for so many steps.

Nothing is written and nothing downloaded for it: steps are timed with random weights, on texts that are here already.
"""

from pathlib import Path

from xa_search.cluster.cluster_file import cluster_gpus
from xa_search.corpora import check_corpus
from xa_search.corpora.opening import place_at_hand
from xa_search.errors import XaSearchError
from xa_search.records import Plan
from xa_search.rehearsal.search_forecast import GpuTerms, forecast_search, width_lines
from xa_search.rehearsal.setup import BUNDLED, own_home
from xa_search.workflows.held_out import is_large
from xa_search.workflows.preflight import open_plan_corpus


def plan_outlook(plan: Plan, cluster: Path | None = None) -> list[str]:
    """Return how long the plan's search takes, on a cluster file's GPUs or on this machine; or why nobody knows."""
    corpus = plan.space.corpus
    if plan.data is None and corpus != BUNDLED and place_at_hand(corpus, plan.home) is None:
        return [f"hours: not forecast without the corpus; --data says where {corpus} is"]
    if is_large(plan):
        return [f"hours: not forecast by a plan, as {corpus} is too large; xa-search rehearse {plan.name} does"]
    try:
        with own_home(plan.home, lambda _: None, keep=False) as scratch:
            found = open_plan_corpus(plan.model_copy(update={"home": scratch}))
            check = check_corpus(found, ("train", "dev"))
            terms = GpuTerms(cluster=None if cluster is None else cluster_gpus(cluster), steps={}, price=None)
            outlook = forecast_search(plan, found, check, terms, plan.home, scratch)
            return [*width_lines(outlook), *filter(None, [outlook.paper_values])]
    except XaSearchError as error:
        return [f"hours: not forecast: {error}"]
