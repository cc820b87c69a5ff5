"""Machine translation. In: a Hugging Face translation model and texts. Out: their translations, in the same order.

NLLB and M2M100 are told the languages by tokens, OPUS-MT (Marian) is made for one pair or told by a prefix. The same
texts in one call give the same translations: nothing is sampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from xa_search.corpora.text import clean_label
from xa_search.errors import ModelError
from xa_search.model import hub
from xa_search.model.hub import quiet_transformers
from xa_search.model.materialise import first_line, stamp

_PAIRS = (
    "af=afr_Latn am=amh_Ethi ar=arb_Arab az=azj_Latn bg=bul_Cyrl bn=ben_Beng ca=cat_Latn cs=ces_Latn cy=cym_Latn "
    "da=dan_Latn de=deu_Latn el=ell_Grek en=eng_Latn es=spa_Latn et=est_Latn eu=eus_Latn fa=pes_Arab fi=fin_Latn "
    "fr=fra_Latn ga=gle_Latn gl=glg_Latn gu=guj_Gujr he=heb_Hebr hi=hin_Deva hr=hrv_Latn hu=hun_Latn hy=hye_Armn "
    "id=ind_Latn is=isl_Latn it=ita_Latn ja=jpn_Jpan jv=jav_Latn ka=kat_Geor kk=kaz_Cyrl km=khm_Khmr kn=kan_Knda "
    "ko=kor_Hang lt=lit_Latn lv=lvs_Latn mk=mkd_Cyrl ml=mal_Mlym mn=khk_Cyrl mr=mar_Deva ms=zsm_Latn my=mya_Mymr "
    "nb=nob_Latn ne=npi_Deva nl=nld_Latn no=nob_Latn pa=pan_Guru pl=pol_Latn pt=por_Latn ro=ron_Latn ru=rus_Cyrl "
    "sk=slk_Latn sl=slv_Latn so=som_Latn sq=als_Latn sr=srp_Cyrl sv=swe_Latn sw=swh_Latn ta=tam_Taml te=tel_Telu "
    "th=tha_Thai tl=tgl_Latn tr=tur_Latn uk=ukr_Cyrl ur=urd_Arab uz=uzn_Latn vi=vie_Latn yo=yor_Latn zh=zho_Hans "
    "zh-TW=zho_Hant zu=zul_Latn"
)
NLLB_CODES = dict(pair.split("=") for pair in _PAIRS.split())

TEXTS_A_BATCH = 32
LONGEST_TEXT = 512
KINDS = ("m2m_100", "marian")


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationModel:
    """A translation model on disk, and the exact version of it."""

    name: str
    directory: Path
    revision: str


def find_translation_model(name: str) -> TranslationModel:
    """Return a local directory, or a model of the hub, downloaded where it is not in the hub's cache."""
    directory = Path(name).expanduser()
    if directory.is_dir():
        return TranslationModel(name=name, directory=directory.resolve(), revision=stamp(directory.resolve()))
    try:
        directory, revision = hub.fetch(name, None)
    except hub.HubUnreachableError as error:
        raise ModelError(f"{error}; give --model DIRECTORY, of an NLLB, M2M100 or OPUS-MT model") from error
    return TranslationModel(name=name, directory=directory, revision=revision)


class Translator:
    """Translates from one language into another. Raises ModelError where the model does not know one of them."""

    def __init__(self, files: TranslationModel, source: str, target: str, device: "torch.device") -> None:
        with quiet_transformers():
            try:
                self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(
                    files.directory, local_files_only=True
                )
                model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
                    files.directory, dtype="float32", local_files_only=True
                )
            except (OSError, ValueError, KeyError, RuntimeError) as error:
                raise ModelError(f"cannot load the translation model {files.name} ({first_line(error)})") from error
        self._model: Any = model.to(device).eval()
        self._device = device
        self._prefix = ""
        self._options: dict[str, Any] = {"do_sample": False}
        kind = self._model.config.model_type
        if kind not in KINDS:
            raise ModelError(f"{files.name} is of kind {kind}; give a --model of NLLB, M2M100 or OPUS-MT (Marian)")
        if kind == "marian":
            self._prefix = _marian_prefix(files.name, self._tokenizer, target)
        else:
            source_code = _known_code(files.name, self._tokenizer, source)
            self._tokenizer.src_lang = source_code.strip("_") if source_code.startswith("__") else source_code
            target_code = _known_code(files.name, self._tokenizer, target)
            self._options["forced_bos_token_id"] = self._tokenizer.convert_tokens_to_ids(target_code)

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Return one line for each text; batches hold texts of similar length."""
        order = sorted(range(len(texts)), key=lambda place: (len(texts[place]), place))
        translations = [""] * len(texts)
        for start in range(0, len(order), TEXTS_A_BATCH):
            places = order[start : start + TEXTS_A_BATCH]
            for place, translation in zip(places, self._batch([texts[place] for place in places]), strict=True):
                translations[place] = clean_label(translation)
        return translations

    def _batch(self, texts: list[str]) -> list[str]:
        encoded = self._tokenizer(
            [self._prefix + text for text in texts],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=min(LONGEST_TEXT, self._tokenizer.model_max_length),
        ).to(self._device)
        with torch.inference_mode(), quiet_transformers():
            output = self._model.generate(**encoded, **self._options)
        lines: list[str] = self._tokenizer.batch_decode(output, skip_special_tokens=True)
        return lines


def _known_code(name: str, tokenizer: Any, lang: str) -> str:
    """Return the token by which the model knows a language: NLLB's, M2M100's, or the language's own name."""
    for code in (NLLB_CODES.get(lang), f"__{lang}__", lang):
        if code is not None and tokenizer.convert_tokens_to_ids(code) not in (None, tokenizer.unk_token_id):
            return code
    raise ModelError(f"{name} does not know the language {lang!r}; give another --model, or have it translated")


def _marian_prefix(name: str, tokenizer: Any, lang: str) -> str:
    """Return what is put before a text for an OPUS-MT model of several targets; nothing for one of a single pair."""
    names = [lang, NLLB_CODES.get(lang, lang).split("_")[0]]
    codes = tokenizer.supported_language_codes
    for code in (f">>{one}<<" for one in names):
        if code in codes:
            return f"{code} "
    if codes:
        raise ModelError(f"{name} does not translate into {lang!r}; it knows {' '.join(sorted(codes))}")
    if tokenizer.target_lang not in (None, *names):
        raise ModelError(f"{name} translates into {tokenizer.target_lang!r}, not {lang!r}; give another --model")
    return ""
