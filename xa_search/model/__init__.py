"""The model: encoders on disk and in memory, the joint model of intents and slots, and its losses.

sizes: the encoders that a search may name. hub, offline_e5, materialise, encoder: how an encoder's files come to be,
and are loaded. trimming: only the embedding rows that a corpus needs. packed: encoders without padding; frozen: their
lowest layers, kept as they are. joint: the model with its heads; linear_heads: heads fitted to features. decoding:
legal slot tags from logits; crf: transitions that are learned; language_maps: embeddings moved between languages;
posterior, calibration: how probable they are, how sure a model may say it is. losses: the loss terms and their weights;
pairs: what a loss between pairs is; registry: those that a search may name. translator, labelled_translations: machine
translation, and slot tags carried over to translations.
"""
