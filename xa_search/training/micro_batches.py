"""Steps that fit into memory. In: one step's input. Out: its gradients in the model, and its loss terms.

A step that runs out of memory is cut into pieces, one after the other through the model, whose gradients add up to
those of the whole. Later steps are cut in as many pieces. Of a trial's several processes each takes its part of a step,
which it may have to cut further.
"""

import gc
from dataclasses import dataclass, field

import torch

from xa_search.encoding.batches import Collator
from xa_search.errors import is_out_of_memory
from xa_search.model.losses import LossWeights
from xa_search.model.registry import PAIR_LOSSES
from xa_search.records import IGNORED, TrialSettings
from xa_search.training.distributed import SharedSums, own_part
from xa_search.training.evaluation import Predictor
from xa_search.training.objective import Factors, LossTerms, compute_losses, no_losses, total_loss
from xa_search.training.registry import pair_losses
from xa_search.training.steps import StepBatch, StepRows


@dataclass(slots=True, kw_only=True)
class MicroBatches:
    """Takes steps through the model whole, or in 2 ** `halvings` pieces once one has run out of memory."""

    predictor: Predictor
    collator: Collator
    settings: TrialSettings
    weights: LossWeights
    halvings: int = 0
    _sums: SharedSums = field(init=False)

    def __post_init__(self) -> None:
        self._sums = SharedSums(self.predictor.model)

    def accumulate_gradients(self, step: StepBatch) -> LossTerms:
        """Run a step's pieces forwards and backwards. Raises the error of a step that no smaller pieces can save."""
        own = self._own_part(step)
        while True:
            pieces = min(2**self.halvings, self._most_pieces(own))
            try:
                losses = self._run(own, step, pieces)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or pieces == self._most_pieces(own):
                    raise
            else:
                return self._summed(losses, step)
            # Outside the handler: the error's traceback holds on to the tensors of the failed pass.
            self.halvings += 1
            self._free_memory()

    def _own_part(self, step: StepBatch) -> StepRows:
        number, count = own_part()
        return step.rows if count == 1 else step.rows.piece(number, count)

    def _most_pieces(self, rows: StepRows) -> int:
        """One utterance a piece; but a contrastive loss sets each pair against all others of the step."""
        divided = all(PAIR_LOSSES[name].divided for name in pair_losses(self.settings))
        whole = not divided and len(rows.partners) > 0
        return 1 if whole else max(1, len(rows.task))

    def _summed(self, losses: LossTerms, step: StepBatch) -> LossTerms:
        """Take in what the trial's other processes have, each of its own part."""
        losses = self._sums.add_up(losses, with_pairs=len(step.partners) > 0)
        if len(step.partners):
            self.weights.learn(losses.terms)
        return losses

    def _run(self, own: StepRows, step: StepBatch, pieces: int) -> LossTerms:
        self.predictor.model.zero_grad(set_to_none=True)
        factors = self.weights.factors()
        if not own.task:
            return no_losses(factors, self.predictor.device)
        if pieces == 1 and own is step.rows:
            return self._backward(step, step, factors)
        names = pair_losses(self.settings)
        parts = (own.piece(number, pieces).collate(self.collator, names) for number in range(pieces))
        losses = [self._backward(part, step, factors) for part in parts]
        return LossTerms(
            total=torch.stack([one.total for one in losses]).sum(),
            terms={name: torch.stack([one.terms[name] for one in losses]).sum() for name in losses[0].terms},
        )

    def _backward(self, part: StepBatch, whole: StepBatch, factors: Factors) -> LossTerms:
        """Add a part's gradients to the model's. Return its share of the loss terms, without their graph."""
        device = self.predictor.device
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.predictor.precision == "bf16"):
            losses = compute_losses(self.predictor.model, part.to(device), self.settings, factors)
        if part is not whole:
            losses = _share(losses, part, whole, factors)
        losses.total.backward()  # type: ignore[no-untyped-call]
        return LossTerms(
            total=losses.total.detach(), terms={name: term.detach() for name, term in losses.terms.items()}
        )

    def _free_memory(self) -> None:
        self.predictor.model.zero_grad(set_to_none=True)
        gc.collect()
        if self.predictor.device.type == "cuda":
            torch.cuda.empty_cache()


def _share(losses: LossTerms, part: StepBatch, whole: StepBatch, factors: Factors) -> LossTerms:
    """Weight a part's means, which are over intents, over scored words and over pairs, by how many of each it has."""
    of_pairs = len(part.partners) / max(1, len(whole.partners))
    shares = {
        "intent": _labels(part.batch.intents) / max(1, _labels(whole.batch.intents)),
        "slot": _labels(part.batch.slots) / max(1, _labels(whole.batch.slots)),
    }
    terms = {name: term * shares.get(name, of_pairs) for name, term in losses.terms.items()}
    return LossTerms(total=total_loss(terms, factors), terms=terms)


def _labels(numbers: torch.Tensor) -> int:
    return int((numbers != IGNORED).sum())
