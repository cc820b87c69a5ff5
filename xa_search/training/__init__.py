"""One trial: from a TrialJob to an EpochReport after each epoch and at each rung, and the best epoch's weights on disk.

registry: the methods and selection rules that a search may name; methods, selection: what they are. trial: the loop;
epoch: its stretches from report to report; epoch_scores: what a report scored. data, steps: what a step is made of.
trainer: model, optimiser, schedule; probe: heads fitted to the frozen encoder. averaging: the mean of its weights
over epochs; soup: over trials. objective, micro_batches: the loss of a step, in pieces that fit into memory. device,
distributed: where it is computed. evaluation, metrics: predictions and their scores; dev_fit: how logits are read.
collapse: when to give up. floors: what every model must beat; comparisons: these, and the winner without alignment,
at the end of a search. statistics: intervals. kept: differences on the rows that selected no trial. estimates: a
model's worth without labels. checkpoint, progress: files to go on from. final_test, transfer, inspection,
model_inspection: what a finished model is worth, on its corpus, on another, and inside. mistakes: what a model takes
for what. outcome_intervals: its test scores with intervals.
"""
