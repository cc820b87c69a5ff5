"""mtop-mini, the bundled corpus: sentence frames in six languages (frames/), and the generator of its files."""
