"""
models/tokenizer_unicode_tables.h: which code points the Rust library `tokenizers` takes for control characters,
nonspacing marks and punctuation, and which it does not yet know as combining. Its tables are those of an old Unicode
version, so the properties of an up-to-date Unicode library would give other ids; here every code point is shown to the
library's own normalizer and pre-tokenizer, and what it does is written down.

Run: pip install tokenizers; python tools/make_unicode_tables.py     (needed only if the library's tables change)
"""

import os

import tokenizers
from tokenizers.normalizers import NFD, BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

OUT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "models", "tokenizer_unicode_tables.h")
OFF = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
clean = BertNormalizer(**dict(OFF, clean_text=True)).normalize_str
strip = BertNormalizer(**dict(OFF, strip_accents=True)).normalize_str
nfd = NFD().normalize_str
split = BertPreTokenizer().pre_tokenize_str

ALL = [o for o in range(0x80, 0x110000) if not 0xD800 <= o < 0xE000]


def is_control(c):
    return clean(c) == "" and c != "\ufffd"


def is_mark(c):
    return nfd(c) == c and strip(c) == ""


def is_punctuation(c):
    return len(split("a" + c + "b")) == 3


def is_combining(c):
    """Class above 1: it changes places with U+0334 (class 1). Class 1 or more: U+0345 (class 240) goes behind it."""
    return nfd(c) == c and (nfd(c + "\u0334") != c + "\u0334" or nfd("\u0345" + c) != "\u0345" + c)


def ranges(test):
    out = []
    for o in ALL:
        if test(chr(o)):
            if out and out[-1][1] == o - 1:
                out[-1][1] = o
            else:
                out.append([o, o])
    return out


def table(name, comment, rows):
    text, line = f"/* {comment} */\nstatic const struct range {name}[] = {{\n", "   "
    for a, b in rows:
        cell = f" {{0x{a:X}, 0x{b:X}}},"
        if len(line) + len(cell) > 118:
            text, line = text + line + "\n", "   "
        line += cell
    return text + line + "\n};\n"


def main():
    with open(OUT, "w", encoding="ascii", newline="\n") as f:
        f.write("/*\n * Made by tools/make_unicode_tables.py: the code points from U+0080 on to which the reference\n"
                " * gives a property, as ascending ranges.\n */\n")
        f.write("struct range {\n    uint32_t first, last;\n};\n\n")
        f.write(table("controls", "Removed by clean_text: Cc, Cf and Co of Unicode 8.", ranges(is_control)) + "\n")
        f.write(table("punctuation", "General category P of Unicode 8.", ranges(is_punctuation)) + "\n")
        f.write(table("marks", "Nonspacing marks (Mn) of Unicode 8.", ranges(is_mark)) + "\n")
        f.write(table("combining", "Canonical combining class above 0 in the reference's NFD (Unicode 9).",
                      ranges(is_combining)))
    print("tokenizers", tokenizers.__version__)


if __name__ == "__main__":
    main()
