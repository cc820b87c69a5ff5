"""The paper's claims checked on searches of a home. In: their names. Out: rulings, as files and in MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass

from xa_search.claims.evidence import gather
from xa_search.claims.feedback import feedback_rulings
from xa_search.claims.statements import CLAIMS, Published
from xa_search.claims.verdicts import Ruling, judge, write_claims
from xa_search.search.history import SearchHistory
from xa_search.workflows.maintenance import log_files

FOLDER = "claims"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedClaims:
    """The rulings on all claims; `remarks` say what should have been there and was not, or was not used."""

    rulings: tuple[Ruling, ...]
    remarks: tuple[str, ...]


def check_claims(searches: Sequence[SearchHistory], literature: Sequence[Published]) -> CheckedClaims:
    """Rule on every claim by what the searches have measured, and on our own by the feedback runs on them."""
    gathered = gather(searches)
    used = {(claim.compare.literature, claim.metric) for claim in CLAIMS}
    unused = sorted({one.system for one in literature if (one.system, one.metric) not in used})
    remarks = gathered.gaps + ((f"no claim is about {', '.join(unused)}",) if unused else ())
    return CheckedClaims(
        rulings=(
            *(judge(claim, gathered.evidence, literature) for claim in CLAIMS),
            *feedback_rulings(searches),
        ),
        remarks=remarks,
    )


def keep_claims(checked: CheckedClaims, searches: Sequence[SearchHistory], uri: str) -> tuple[str, ...]:
    """Write the rulings into the folder of each search and log them with it; return what MLflow has not got."""
    problems = []
    for search in searches:
        paths = write_claims(checked.rulings, checked.remarks, search.directory / FOLDER)
        if search.driver:
            problems.append(f"{search.search_id}: process {search.driver} runs it; the claims are not logged with it")
            continue
        state = log_files(search, uri, paths, FOLDER)
        if state.left:
            problems.append(f"{state.problem}; or type: xa-search sync {search.search_id}")
    return tuple(problems)
