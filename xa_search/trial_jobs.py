"""What a trial's worker is given. In: a Plan, its data, a trial's settings. Out: a TrialJob, its test."""

from xa_search.encoding.store import encode_split
from xa_search.journal import trial_directory
from xa_search.preflight import Prepared, max_tokens
from xa_search.records import Plan, TrialJob, TrialSettings


def make_trial_job(plan: Plan, prepared: Prepared, settings: TrialSettings, name: int | str) -> TrialJob:
    """Return what a worker needs to train a trial with these settings."""
    encoder = prepared.encoders[settings.model_size]
    return TrialJob(
        settings=settings,
        encoder=encoder,
        corpus=prepared.encoded[encoder.tokenizer_fingerprint],
        selection=plan.space.selection,
        directory=trial_directory(plan.directory, name),
        home=plan.home,
        threads=plan.space.cpus_per_trial,
    )


def score_trial_on_test(plan: Plan, prepared: Prepared, job: TrialJob) -> dict[str, float]:
    """Encode the test splits, which nothing has opened before, and score a finished trial's best weights.

    Of several models, each is scored on its own target, on the source and on what is held out.
    """
    from xa_search.training.each_target import mean_metrics, models_of
    from xa_search.training.final_test import score_test
    from xa_search.training.trial import best_weights

    space = plan.space
    tokenizer = prepared.tokenizers[job.encoder.tokenizer_fingerprint]
    encode_split(job.corpus, prepared.corpus, tokenizer, max_tokens(plan), "test", space.tested_languages)
    return mean_metrics(
        [
            score_test(one, best_weights(one.directory), (space.source, *one.corpus.targets, *space.held_out))
            for one in models_of(job)
        ]
    )
