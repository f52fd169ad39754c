"""
models/zoo/mini/vocab.txt: the WordPiece vocabulary of zoo:mini, 8,192 lower-cased pieces.

Run: pip install tokenizers; python tools/make_vocab.py TEXT      (TEXT: a plain text file, one paragraph a line)

The committed file was learned from English Wikipedia of 2015 (205 MB as WikiExtractor leaves it: lines that begin with
`<doc` or `</doc` are left out), every sixth line of it, with tokenizers 0.23. In this order it holds

  the five special tokens;
  every character of RANGES, alone and as a piece inside a word: with them any text in the scripts listed below
    can be written without [UNK];
  WORDS, English words without content that any task needs whole;
  the pieces that the trainer finds, in the order in which it finds them (most frequent merges first), until it is full.

The trainer breaks ties between equally frequent pairs as its hash table falls, so a new run gives a vocabulary as good
as this one but not the same: weights trained with the committed file need the committed file.
"""

import os
import sys

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.trainers import WordPieceTrainer

SIZE, STRIDE, MIN_FREQUENCY = 8192, 6, 10
OUT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "models", "zoo", "mini", "vocab.txt")
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

# Ranges of characters. What lower-casing and the removal of accents change is dropped below (so of Latin-1 and Latin
# Extended only letters such as ae, o with stroke, sharp s and dotless i remain).
RANGES = [
    (0x21, 0x7E), (0xA1, 0xFF), (0x100, 0x17F), (0x192, 0x192), (0x250, 0x292), (0x2B0, 0x2BC), (0x2D0, 0x2D0),
    (0x386, 0x3CE), (0x3D1, 0x3D5),  # Greek
    (0x400, 0x45F), (0x490, 0x493), (0x49A, 0x49B), (0x4A2, 0x4A3), (0x4AE, 0x4B1), (0x4BA, 0x4BB), (0x4D8, 0x4D9),
    (0x4E8, 0x4E9),                                                         # Cyrillic
    (0x5D0, 0x5EA), (0x621, 0x64A),                                         # Hebrew, Arabic
    (0x2010, 0x2027), (0x2030, 0x203A), (0x2044, 0x2044), (0x2070, 0x208E), # punctuation, superscripts
    (0x20A6, 0x20AC), (0x20B9, 0x20BF), (0x2116, 0x2116), (0x2122, 0x2122), (0x2153, 0x215E),
    (0x2190, 0x2195), (0x21D2, 0x21D4), (0x2200, 0x220F), (0x2211, 0x221E), (0x2227, 0x222B), (0x2248, 0x2248),
    (0x2260, 0x2265), (0x2282, 0x2287), (0x25A0, 0x25A1), (0x25CB, 0x25CF), (0x2605, 0x2606), (0x2640, 0x2642),
    (0x2660, 0x266F), (0x2713, 0x2717), (0x2764, 0x2764), (0x3001, 0x3002), (0x1F600, 0x1F60F),
]

WORDS = """
a about above across after again against all almost alone along already also although always am among an and another
any anyone anything are aren around as ask at away back be became because become been before behind being below
between both but by came can cannot could couldn did didn do does doesn doing don done down during each either else
enough even ever every everyone everything few first for found from full further get give given go goes going gone
good got had hadn has hasn have haven having he her here hers herself him himself his how however i if in indeed
inside into is isn it its itself just keep kind know last later least less let like likely little ll long look made
make many may maybe me mean might mine more most much must my myself near need neither never new next no nobody none
nor not nothing now of off often old on once one only onto or other others our ours ourselves out outside over own
part perhaps put quite rather re really said same say says see seem seems several shall she should shouldn since so
some someone something sometimes soon still such take than that the their theirs them themselves then there therefore
these they thing things think this those though three through thus to together too toward towards true two under
unless until up upon us use used ve very want was wasn way we well went were weren what whatever when where whether
which while who whole whom whose why will with within without won would wouldn yes yet you your yours yourself
""".split()

NORMALIZER = BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True)


def alphabet():
    """Characters of RANGES that normalization leaves alone."""
    chars = [chr(o) for first, last in RANGES for o in range(first, last + 1)]
    return [c for c in chars if NORMALIZER.normalize_str(c) == c]


def paragraphs(path):
    with open(path, encoding="utf-8") as f:
        for i, line in enumerate(f):
            if i % STRIDE == 0 and not line.startswith(("<doc", "</doc")):
                yield line


def learn(path, chars):
    """Pieces of a vocabulary somewhat larger than needed, in the trainer's order."""
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = NORMALIZER
    tokenizer.pre_tokenizer = BertPreTokenizer()
    trainer = WordPieceTrainer(vocab_size=SIZE + 512, min_frequency=MIN_FREQUENCY, special_tokens=SPECIALS,
                               initial_alphabet=chars, limit_alphabet=len(chars), show_progress=False)
    tokenizer.train_from_iterator(paragraphs(path), trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.get)


def main():
    chars = alphabet()
    pieces = SPECIALS + chars + ["##" + c for c in chars] + WORDS + learn(sys.argv[1], chars)
    pieces = list(dict.fromkeys(pieces))[:SIZE]
    assert len(pieces) == SIZE
    with open(OUT, "w", encoding="utf-8", newline="\n") as f:
        f.writelines(p + "\n" for p in pieces)
    print(f"{len(chars)} characters, last piece {pieces[-1]}")


if __name__ == "__main__":
    main()
