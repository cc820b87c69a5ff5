"""Lines of raw files, written by hand for the readers' tests."""

import json
import re


def tokens_json(text: str, words: list[str] | None = None) -> str:
    """Give the tokens column for words that stand in a text."""
    spans, end = [], 0
    words = text.split() if words is None else words
    for word in words:
        start = text.index(word, end)
        end = start + len(word)
        spans.append({"start": start, "length": len(word)})
    return json.dumps({"tokens": words, "tokenSpans": spans}, ensure_ascii=False)


def mtop_line(
    text: str, slots: str = "", intent: str = "IN:SET_ALARM", row_id: str | None = "1", tokens: str | None = None
) -> str:
    """Give a line of MTOP: 8 columns, or 7 without an id."""
    columns = [intent, slots, text, "alarm", "en_XX", f"[{intent} ]", tokens_json(text) if tokens is None else tokens]
    return "\t".join(columns if row_id is None else [row_id, *columns]) + "\n"


def massive_line(annotated: str = "wake me at [time : five am]", text: str | None = None, **changes: object) -> str:
    """Give a line of MASSIVE; `None` leaves a key out."""
    plain = re.sub(r"\[[^:\]]*: *([^\]]*)\]", r"\1", annotated) if text is None else text
    row = {"id": "7", "locale": "en-US", "partition": "train", "scenario": "alarm", "intent": "alarm_set"}
    row |= {"utt": plain, "annot_utt": annotated, "worker_id": "1", **changes}
    return json.dumps({key: value for key, value in row.items() if value is not None}, ensure_ascii=False) + "\n"


def xsid_block(
    *rows: tuple[str, str], intent: str = "alarm/set_alarm", stated: str | None = None, row_id: str | None = "1"
) -> str:
    """Give a block of xSID's files from (word, tag), as the release has it in other languages than English."""
    lines = [] if row_id is None else [f"# id = {row_id}", "# text-en = set an alarm"]
    lines += [f"# text = {' '.join(word for word, _ in rows)}", f"# intent = {intent if stated is None else stated}"]
    lines += [f"{i}\t{word}\t{intent}\t{tag}" for i, (word, tag) in enumerate(rows, 1)]
    return "\n".join(lines) + "\n\n"


def pawsx_lines(*rows: tuple[str, str, str, str]) -> str:
    """Give a file of PAWS-X from (id, sentence1, sentence2, label), its header first."""
    return "".join("\t".join(row) + "\n" for row in (("id", "sentence1", "sentence2", "label"), *rows))


def conll_block(*rows: tuple[str, str], intent: str = "alarm/set") -> str:
    """Give a block of MTOD's CoNLL files from (word, tag)."""
    text = " ".join(word for word, _ in rows)
    lines = [f"# text: {text}", f"# intent: {intent}", "# slots: "]
    lines += [f"{i}\t{word}\t{intent}\t{tag}" for i, (word, tag) in enumerate(rows, 1)]
    return "\n".join(lines) + "\n\n"
