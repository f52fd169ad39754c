"""
What the PyTorch programs of this folder share: GLUE rows in their own TSV layout, token ids, and the tasks' metrics.

Nothing here is needed to build or run peftlab.
"""

import os

import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

# folder, header lines, text columns, label column, number of labels (1: regression)
TASKS = {
    "cola": ("CoLA", 0, (3,), 1, 2),
    "sst2": ("SST-2", 1, (0,), 1, 2),
    "mrpc": ("MRPC", 1, (3, 4), 0, 2),
    "stsb": ("STS-B", 1, (7, 8), -1, 1),
}


def read_rows(data, task, split):
    """Texts (a list per text column) and labels of glue/<folder>/<split>.tsv, in file order; quotes are characters."""
    folder, header, columns, label, labels = TASKS[task]
    with open(os.path.join(data, "glue", folder, split + ".tsv"), encoding="utf-8-sig", newline="\n") as f:
        rows = [line.rstrip("\n").split("\t") for line in f][header:]
    return [[r[c] for r in rows] for c in columns], [float(r[label]) if labels == 1 else int(r[label]) for r in rows]


def encode(tokenizer, texts, max_length):
    """Ids and token types of every row, cut longest-first, not padded."""
    out = tokenizer(*texts, truncation="longest_first", max_length=max_length, padding=False)
    return out["input_ids"], out["token_type_ids"]


def metrics(task, labels, scores):
    """GLUE's metrics of a task from raw scores [rows, labels], under the names that peftlab's tables use."""
    if TASKS[task][4] == 1:
        x = scores[:, 0].astype(np.float64)
        return dict(pearson=float(pearsonr(x, labels)[0]), spearmanr=float(spearmanr(x, labels)[0]))
    predictions = scores.argmax(axis=1)
    if task == "cola":
        return dict(matthews_correlation=float(matthews_corrcoef(labels, predictions)))
    out = dict(accuracy=float(accuracy_score(labels, predictions)))
    if task == "mrpc":
        out["f1"] = float(f1_score(labels, predictions))
    return out
