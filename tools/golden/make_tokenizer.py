"""
tests/golden/tokenizer/: what Hugging Face's tokenizers make of nasty strings, of truncated pairs, of every code point
and of every sentence of four GLUE tasks, with bert-base-uncased's vocabulary.

Run: PEFTLAB_DATA=... python tools/golden/make_tokenizer.py        (file formats: README.md)

The vocabulary and the GLUE files are inputs found in $PEFTLAB_DATA; neither is copied.
"""

import hashlib
import itertools
import os
import random

import tokenizers
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import BertTokenizerFast

from common import GOLDEN

DATA = os.environ["PEFTLAB_DATA"]
VOCAB = os.path.join(DATA, "tokenizers", "bert-base-uncased", "vocab.txt")
OUT = os.path.join(GOLDEN, "tokenizer")

# One string per line of nasty.txt; none may hold a line feed (the separator) or NUL.
NASTY = [
    # plain, spaces, punctuation
    "The quick brown fox jumps over the lazy dog.",
    "",
    " ",
    "   leading and trailing   ",
    "a",
    ".",
    "...",
    "!?!?!",
    "don't can't won't it's o'clock rock'n'roll",
    "state-of-the-art well-known 1-2-3",
    "$3.50 & 10% @home #tag ^caret ~tilde `tick` |pipe| \\back\\ /slash/",
    "a_b_c __init__ snake_case",
    "<html><b>bold</b></html>",
    "(parentheses) [brackets] {braces}",
    "e.g., i.e., U.S.A. Ph.D. 3.14159 1,000,000 12:30",
    "\"double\" 'single' \u201ccurly\u201d \u2018curly\u2019 \u00abguillemets\u00bb \u201elow\u201c",
    "dash - en \u2013 em \u2014 bar \u2015 minus \u2212 hyphen \u2010 nb \u2011 figure \u2012",
    "ellipsis\u2026 bullet \u2022 section \u00a7 pilcrow \u00b6 dagger \u2020\u2021",
    "\u00a1Hola! \u00bfQu\u00e9 tal?",
    "euro \u20ac pound \u00a3 yen \u00a5 cent \u00a2 won \u20a9 rupee \u20b9 bitcoin \u20bf",
    "\u00a9 \u00ae \u2122 \u00b0 \u00b1 \u00d7 \u00f7 \u00ac \u00b5 \u00aa \u00ba \u00b9\u00b2\u00b3 "
    "\u00bc\u00bd\u00be",
    "+ < = > $ ^ ` | ~ are ASCII symbols, split; \u00a8\u00af\u00b4\u00b8 are not ASCII, not punctuation",
    "x\u00b7y middle dot, x\u2022y bullet, x\u30fby katakana dot, x\u0387y ano teleia",
    # white space and controls
    "tab\tseparated\tvalues",
    "carriage\rreturn and\r",
    "vertical\x0btab form\x0cfeed",
    "nbsp\u00a0between\u00a0words",
    "thin\u2009hair\u200aen\u2002em\u2003figure\u2007narrow\u202fmath\u205fideo\u3000ogham\u1680end",
    "line\u2028separator paragraph\u2029separator next\u0085line",
    "bell\x07 back\x08space esc\x1b[31mred del\x7f c1\x80\x9f",
    "\x01\x02\x03\x1f",
    "uni\x1fit sep\x1ca\x1db\x1ec",
    "zero\u200bwidth\u200bspace",
    "zero\u200cwidth\u200dnon/joiner word\u2060joiner",
    "\ufeffBOM at the start and in the mid\ufeffdle",
    "soft\u00adhyphen in hy\u00adphen\u00adation",
    "re\ufffdplacement char\ufffd",
    "\ufffd",
    "left\u200e right\u200f marks \u202aembed\u202c \u2066isolate\u2069",
    "private \ue000use\uf8ff \U000f0000plane15 \U0010fffdplane16",
    "noncharacter \ufdd0 \uffff \U0001ffff unassigned \u0378 \u0530",
    "interlinear \ufff9anchor\ufffaseparator\ufffb object\ufffc",
    "mongolian\u180evowel separator",
    "\u3000\u2003\u00a0\t\r ",
    # accents, combining marks, case
    "caf\u00e9 na\u00efve r\u00e9sum\u00e9 fa\u00e7ade \u00fcber se\u00f1or",
    "cafe\u0301 nai\u0308ve re\u0301sume\u0301 fac\u0327ade u\u0308ber sen\u0303or",
    "\u00c0\u00c1\u00c2\u00c3\u00c4\u00c5\u00c6\u00c7\u00c8\u00c9 \u00d0\u00d1\u00d8\u00de\u00df",
    "\u0301 leading combining",
    "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307 zalgo z\u0335\u0321a\u0336l\u0337g\u0338o\u0334",
    "Vi\u1ec7t Nam ti\u1ebfng \u0110\u00e0 N\u1eb5ng \u01b0\u01a1",
    "\u0141\u00f3d\u017a \u015awi\u0119tokrzyskie \u017b\u00f3\u0142\u0107",
    "P\u0159\u00edli\u0161 \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148",
    "\u0130stanbul \u0131\u011fd\u0131r I\u0307 \u0130\u0130",
    "\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3 \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 \u03c3\u03c2",
    "\u0391\u03b8\u03ae\u03bd\u03b1 \u1f00\u03c1\u03c7\u1f74 \u1fb3 \u1fbc \u1f88",
    "\ufb01ne \ufb02ow o\ufb00 \ufb03 \ufb04 \ufb05 \ufb06 ligatures",
    "\u01c4 \u01c5 \u01c6 \u01c7 \u0132sselmeer \u0133",
    "Stra\u00dfe STRASSE stra\u1e9ee \u1e9e",
    "\u212a kelvin \u212b angstrom \u2126 ohm",
    "\u1e00 \u1e9b \u1e69 \u1ea5\u0300",
    "\uff21\uff22\uff23 \uff41\uff42\uff43 \uff11\uff12\uff13 \uff01\uff1f\uff0c",
    "\U0001d400\U0001d401 \U0001d41a \u2115\u211d\u2124 \u2460\u2461 \u24b6\u24d0",
    "\u2160\u2161 \u2170 \u216f small caps \u1d00\u0299\u1d04",
    "\u13a0\u13a1 \uab70 cherokee \u10a0 \u2d00 georgian \u10d0 \u1c90",
    "\U00010400\U00010428 deseret \U0001e900\U0001e922 adlam",
    "mIxEd CaSe UPPER lower Title",
    # East Asia
    "\u4f60\u597d\u4e16\u754c",
    "Hello\u4e16\u754cWorld \u4e2dA\u6587B",
    "\u6211\u559c\u6b22\u673a\u5668\u5b66\u4e60\u3002\u4f60\u5462\uff1f",
    "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8\u3067\u3059\u3002",
    "\u30ab\u30bf\u30ab\u30ca \u3072\u3089\u304c\u306a \uff76\uff80\uff76\uff85",
    "\u304c \u30ac \u304b\u3099 \u3071 \u30d1 \u306f\u309a \u3094",
    "\ud55c\uad6d\uc5b4 \ubb38\uc7a5\uc785\ub2c8\ub2e4",
    "\u1112\u1161\u11ab jamo \u3131\u314f compatibility",
    "\u3400 \u4dbf \u4dc0 \u4e00 \u9fff \u9fa5 \ua000 \uf900 \ufaff \ufb00",
    "\U00020000 \U0002a6df \U0002a6e0 \U0002a700 \U0002b73f \U0002b740 \U0002b81f \U0002b820 \U0002ceaf \U0002f800",
    "\U0002b920 \U0002b91f \U0002fa1f \U0002fa20 \U00030000",
    "\u3005\u3006\u3007 \u3021\u3012 \u30fc \u300c\u300d\u300e\u300f\u3010\u3011",
    "\u2e80 \u2f00 \u31c0 radicals",
    "\u9f98\u9750\u9f49 rare \u4e26\u884c",
    # other scripts
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0401\u043b\u043a\u0430 \u0439\u043e\u0434",
    "\u0627\u0644\u0633\u0644\u0627\u0645 \u0639\u0644\u064a\u0643\u0645\u060c \u0643\u064a\u0641\u061f",
    "\u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f \u0640\u0640 \u0622 \u0623 \ufefb \ufdfa",
    "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd \u05e2\u05d5\u05dc\u05dd \u05f3 \u05f4 \u05be",
    "mixed \u05d0\u05d1\u05d2 123 \u0627\u0628 abc \u0661\u0662\u0663",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e\u0964 \u0958 \u0931",
    "\u09ac\u09be\u0982\u09b2\u09be \u09ad\u09be\u09b7\u09be \u09cb \u09dc",
    "\u0ba4\u0bae\u0bbf\u0bb4\u0bcd \u0c24\u0c46\u0c32\u0c41\u0c17\u0c41 \u0c95\u0ca8\u0ccd\u0ca8\u0ca1",
    "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \u0e19\u0e49\u0e33 \u0e01\u0e4d\u0e32 \u0e5a",
    "\u0f56\u0f7c\u0f51\u0f0b\u0f66\u0f90\u0f51\u0f0d \u0f43 \u0f73",
    "\u1019\u103c\u1014\u103a\u1019\u102c \u1781\u17d2\u1798\u17c2\u179a \u17d4 \u0ea5\u0eb2\u0ea7",
    "\u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8 \u0540\u0561\u0575\u0565\u0580\u0565\u0576 \u0587 \u055e",
    "\u12a0\u121b\u122d\u129b \u1361 \u1362 \u166d \u166e \u16eb \u1735",
    "\u1820\u1821 \u1800 \u1806 \u180b \u2d30 \u07ca \u0710",
    "\U00010900 \U00010380 \U0001039f \U00012000 \U00013000 \U00010100",
    # emoji
    "I \u2764 you \U0001f600 \U0001f602!",
    "\u2764\ufe0f \u2603\ufe0f \u2603\ufe0e \u00a9\ufe0f",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family",
    "\U0001f44d\U0001f3fd \U0001f1fa\U0001f1f8 \U0001f3f4\U000e0067\U000e0062\U000e007f 1\ufe0f\u20e3",
    "word\U0001f600word \U0001f600\U0001f600\U0001f600",
    "\u2190\u2192 \u2200\u2203 \u221e \u2260 \u2248 \u2266 \u22a2 \u2329\u232a \u27e8\u27e9",
    "\u2500\u2502\u2588 \u25a0\u25cb \u2605 \u266b \u2713 \u2800\u28ff",
    # special tokens and continuation pieces in the text
    "[MASK]",
    "The capital of France is [MASK].",
    "[CLS] text [SEP] more [PAD] [UNK]",
    "a[MASK]b x[SEP]y [MASK][MASK]",
    "[mask] [cls] [Sep] [MASK [MASK] MASK]",
    "[ MASK ] [MA\u00adSK] [M\u0301ASK]",
    "caf\u00e9[MASK]\u4e2d[SEP]\u0301",
    "[unused0] [unused99]",
    "##ing ##s # # ## ### un##able",
    "playing ##playing play ##ing",
    "<s> </s> <mask> <pad> <unk> <|endoftext|>",
    # words: pieces, unknown, length limits
    "unaffable unbelievably tokenization antidisestablishmentarianism",
    "supercalifragilisticexpialidocious floccinaucinihilipilification",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "a" * 99, "a" * 100, "a" * 101, "a" * 250,
    "\u00e9" * 100, "\u00e9" * 101, "e\u0301" * 100, "e\u0301" * 101,
    "x" * 60 + "-" + "y" * 60,
    "x" * 60 + "\u4e2d" + "y" * 60,
    "x" * 60 + "\u00ad" + "y" * 60,
    "\u0456" * 100 + " " + "\u0456" * 101,
    "\U0001f600" * 100 + " " + "\U0001f600" * 101,
    "\uac00" * 50 + " " + "\uac00" * 51,
    "word " * 120,
    "!" * 130,
    "qzxjkvbw zzzzzzzz 0xdeadbeef a1b2c3d4e5",
    "12345678901234567890 3.14e-10 1st 2nd 3rd",
    "https://www.example.com/path?query=1&b=2#frag user@example.org",
    "C:\\Users\\name\\file.txt /usr/local/bin ~/.bashrc",
    "@user RT #hashtag :-) :( ;) <3 ^_^ \u00af\\_(\u30c4)_/\u00af",
    "i\u0307 j\u030c \u01f0 \u1e96 \u0149",
    "\u1e9a \u02bc \u2019n \u0385 \u1fed \u1fef ` \u037e ;",
    "\u0344 \u0340 \u0374 \u2000 \u2126 \u212a \u00c5 \uf951 \ufb1d \ufb4e",
    "\u0f71\u0f72\u0f74 order \u0323\u0307 s\u0307\u0323 s\u0323\u0307",
    "\u0390 \u03b0 \u1fd3 \u1fe3 \u03ca\u0301",
    "\u06c0 \u06c2 \u06d3 \u0929 \u0934 \u0b94 \u0dda \u1026",
    "\U0001109a \U0001112e \U0001134b \U000114bb \U000115ba",
    "\u0963\u0964\u0965\u0970 \u0df4 \u0e4f \u2cf9 \u3030 \ua673 \ufe10 \ufe58 \uff5f \U00010a50",
    # characters newer than the library's tables (README.md: code points)
    "\u08ca\u0afa\u1ac0 \u2e43 \u2e52 \u061d \U00011660 \u0890\u08e2",
    "\u20c0 \U0001fae0 \u2e5d \U0001e900 \ua7c0 \U00010eab",
]

# Lines of bytes that are not UTF-8, read as Python's errors="replace" reads them.
INVALID = [
    b"ab\xffcd lone byte that never occurs", b"caf\xe9 latin-1", b"\x80\x81\xbf lone continuations",
    b"cut \xe4\xb8", b"cut \xe4\xb8A then a letter", b"cut \xf0\x9f\x98 then a space", b"\xe4\xe4\xb8\xad twice",
    b"overlong \xc0\xaf \xc1\xbf \xe0\x80\xaf \xf0\x80\x80\xaf x", b"surrogate \xed\xa0\x80 \xed\xbf\xbf x",
    b"too large \xf4\x90\x80\x80 \xf5\x80\x80\x80 \xf8\x88\x80\x80\x80 x", b"\xf4\x8f\xbf\xbf largest \xee\x80\x80",
    b"[MA\xffSK] [MASK\xff] [MASK]\xff", b"\xff", b"\xff\xfe U\xfeT\xffF", b"play\xc3ing",
    b"\xc3\x28 \xe2\x28\xa1 \xe2\x82\x28",
    b"\xef\xbb cut BOM \xef\xbb\xbf whole", b"x" * 100 + b"\xff" + b" " + b"x" * 50 + b"\xff" + b"x" * 51,
]


def fast(lower):
    return BertTokenizerFast(vocab_file=VOCAB, do_lower_case=lower)


def write(name, text):
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, name), "w", encoding="utf-8", newline="\n") as f:
        f.write(text)


def line(ids):
    return " ".join(map(str, ids)) + "\n"


def make_nasty():
    assert all("\n" not in s and "\0" not in s for s in NASTY) and len(set(NASTY)) == len(NASTY)
    write("nasty.txt", "".join(s + "\n" for s in NASTY))
    for name, lower in (("nasty.ids", True), ("nasty.cased.ids", False)):
        tokenizer = fast(lower)
        write(name, "".join(line(tokenizer(s)["input_ids"]) for s in NASTY))
    return len(NASTY)


def make_invalid():
    with open(os.path.join(OUT, "invalid.txt"), "wb") as f:
        f.writelines(s + b"\n" for s in INVALID)
    tokenizer = fast(True)
    write("invalid.ids", "".join(line(tokenizer(s.decode(errors="replace"))["input_ids"]) for s in INVALID))


def make_pairs():
    """
    Pairs of every mixture of lengths (in pieces), cut at every limit 5..16 and some larger ones.  The words are whole
    pieces of the vocabulary, all different, so that an id tells where a cut fell.
    """
    words = ("one two three four five six seven eight nine ten eleven twelve red green blue black white north south "
             "east west spring summer winter").split()
    tokenizer = fast(True)
    assert all(len(tokenizer.tokenize(w)) == 1 for w in words)
    rows = [(" ".join(words[:a]), " ".join(words[-b:] if b else []), m)
            for a, b in itertools.product((0, 1, 2, 3, 5, 6, 7, 12), repeat=2) for m in range(5, 17) if a + b > m - 5]
    rows += [("unaffable tokenization", "don't!", m) for m in (5, 6, 7, 8, 9, 32)]
    rows += [("unaffable tokenization", "", 4), ("caf\u00e9 \u4e16\u754c", "[MASK] \u0301", 8)]
    rows += [(" ".join(words * 3), "a b c", m) for m in (20, 40, 64, 128)]
    rows += [("a b c", " ".join(words * 3), m) for m in (20, 40, 64, 128)]
    text, ids, types = "", "", ""
    for a, b, m in rows:
        # As a batch of one: called with two plain strings, transformers drops an empty second text and its [SEP].
        out = tokenizer([a], [b], truncation="longest_first", max_length=m)
        assert len(out["input_ids"][0]) <= m
        text += f"{a}\t{b}\t{m}\n"
        ids += line(out["input_ids"][0])
        types += line(out["token_type_ids"][0])
    write("pairs.tsv", text)
    write("pairs.ids", ids)
    write("pairs.types", types)
    return len(rows)


def code_points():
    return (o for o in range(1, 0x110000) if not 0xD800 <= o < 0xE000 and o != 0x0A)


def ranges(classes):
    """[(first, last, class)] of equal neighbours; surrogates lie in no range."""
    out = []
    for o, c in classes:
        if out and out[-1][1] == o - 1 and out[-1][2] == c:
            out[-1][1] = o
        else:
            out.append([o, o, c])
    return out


def make_code_points():
    """What each step of the library does to every single code point."""
    only = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    clean, cjk, accents, lower = (BertNormalizer(**dict(only, **{k: True})).normalize_str for k in only)
    split = BertPreTokenizer().pre_tokenize_str

    def classify(c):
        cleaned = clean(c)
        pieces = [p for p, _ in split("a" + c + "b")]
        return " ".join((
            "drop" if cleaned == "" else "space" if cleaned == " " else "keep",
            "mark" if accents(c) == "" else "-",
            "cjk" if cjk(c) == f" {c} " else "-",
            {1: "word", 2: "space", 3: "punct"}[len(pieces)]))

    classes = [(o, classify(chr(o))) for o in code_points()]
    write("codepoints.tsv", "".join(f"{a:X}\t{b:X}\t{c}\n" for a, b, c in ranges(classes) if c != "keep - - word"))
    fold = [(o, lower(accents(chr(o)))) for o in code_points() if not 0xAC00 <= o <= 0xD7A3]
    write("fold.tsv", "".join(f"{o:X}\t{' '.join(f'{ord(c):X}' for c in s)}\n" for o, s in fold if s != chr(o)))


# file, header lines, text columns
GLUE = [("CoLA/train.tsv", 0, (3,)), ("CoLA/dev.tsv", 0, (3,)),
        ("MRPC/train.tsv", 1, (3, 4)), ("MRPC/dev.tsv", 1, (3, 4)),
        ("SST-2/train.tsv", 1, (0,)), ("SST-2/dev.tsv", 1, (0,)),
        ("STS-B/train.tsv", 1, (7, 8)), ("STS-B/dev.tsv", 1, (7, 8))]
HEADER = """\
# One line per file and text column: sha256, file, column (0-based), rows, ids in all.
# Hashed are the bytes of one line per row in file order, header left out: decimal ids separated by one space, ended by
# \\n, [CLS] and [SEP] included, no truncation; bert-base-uncased, lower-cased. Lines end at \\n only, columns are
# separated by \\t only (quotes are ordinary characters), a BOM at the start of the file is dropped, nothing is stripped
# from a column.
# Column `pairs`: the two texts of a row together, [CLS] a [SEP] b [SEP], cut longest-first to 128.
"""


def make_glue():
    tokenizer, out = fast(True), HEADER
    for name, header, columns in GLUE:
        with open(os.path.join(DATA, "glue", name), encoding="utf-8-sig", newline="\n") as f:
            rows = [r.rstrip("\n").split("\t") for r in f][header:]
        texts = [[r[c] for r in rows] for c in columns]
        for c, column in zip(columns, texts):
            out += digest(tokenizer(column)["input_ids"], name, c)
        if len(columns) == 2:
            out += digest(tokenizer(*texts, truncation="longest_first", max_length=128)["input_ids"], name, "pairs")
    write("glue.sha256", out)


def digest(ids, name, column):
    h = hashlib.sha256("".join(map(line, ids)).encode()).hexdigest()
    return f"{h} {name} {column} {len(ids)} {sum(map(len, ids))}\n"


if __name__ == "__main__":
    print("tokenizers", tokenizers.__version__)
    print("nasty", make_nasty(), "pairs", make_pairs())
    make_invalid()
    make_code_points()
    make_glue()
