"""Tiny random translation models of three families, each with a real tokenizer of its own kind, in a folder."""

import io
import json
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    NllbTokenizer,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SIZES: dict[str, Any] = {"d_model": 16, "max_position_embeddings": 128}
SIZES |= {"encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
SIZES |= {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}


def write_nllb(folder: Path, codes: tuple[str, ...] = ("eng_Latn", "deu_Latn"), seed: int = 1) -> Path:
    """A model that is told its languages by NLLB's codes."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS, *(f"▁{letter}" for letter in LETTERS)]
    tokenizer = NllbTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=[], extra_special_tokens=list(codes)
    )
    return _write(folder, tokenizer, M2M100ForConditionalGeneration, _m2m_config(len(tokenizer)), seed)


def write_m2m(folder: Path) -> Path:
    """A model that is told its languages by two letters between underscores."""
    folder.mkdir(parents=True)
    _train_pieces(folder / "pieces.model")
    (folder / "words.json").write_text(json.dumps(_vocabulary(folder / "pieces.model")))
    tokenizer = M2M100Tokenizer(str(folder / "words.json"), str(folder / "pieces.model"))
    size = max(tokenizer.lang_token_to_id.values()) + 1 + tokenizer.num_madeup_words
    return _write(folder, tokenizer, M2M100ForConditionalGeneration, _m2m_config(size), seed=1)


def write_marian(folder: Path, codes: tuple[str, ...] = (), target: str | None = None) -> Path:
    """A model of one pair, or of several targets that a prefix chooses from."""
    folder.mkdir(parents=True)
    _train_pieces(folder / "pieces.model")
    words = {**_vocabulary(folder / "pieces.model")}
    words |= {code: len(words) + number for number, code in enumerate(codes)}
    (folder / "words.json").write_text(json.dumps(words))
    pieces = str(folder / "pieces.model")
    tokenizer = MarianTokenizer(pieces, pieces, str(folder / "words.json"), target_lang=target)
    special = {"pad_token_id": words["<pad>"], "eos_token_id": words["</s>"], "decoder_start_token_id": len(words) - 1}
    config = MarianConfig(vocab_size=len(words), **special, **SIZES)
    return _write(folder, tokenizer, MarianMTModel, config, seed=1)


def _m2m_config(size: int) -> M2M100Config:
    return M2M100Config(
        vocab_size=size, pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2, **SIZES
    )


def _write(folder: Path, tokenizer: Any, kind: Any, config: Any, seed: int) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.5 * torch.randn_like(parameter)
    model.generation_config.max_length = 8
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _train_pieces(path: Path) -> None:
    """Train a SentencePiece model of single letters."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(LETTERS), LETTERS, LETTERS[::-1]] * 20),
        model_writer=written,
        model_type="char",
        vocab_size=len(LETTERS) + 4,
        pad_id=-1,
        minloglevel=2,
    )
    path.write_bytes(written.getvalue())


def _vocabulary(pieces: Path) -> dict[str, int]:
    loaded = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    names += [name for name in map(loaded.id_to_piece, range(loaded.get_piece_size())) if name not in names]
    return {name: number for number, name in enumerate(names)}
