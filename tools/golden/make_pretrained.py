"""
tests/golden/encoder/minilm_l6.safetensors: logits, loss and a digest of every gradient of a real pretrained encoder
(all-MiniLM-L6-v2: 6 layers, hidden 384), which stays outside the tree.

Run: python tools/golden/make_pretrained.py DIR        DIR: its Hugging Face directory; layout in README.md

The weights are named by SHA-256; the classifier, which the checkpoint lacks, is random and stored in the file.
Computed in float64.
"""

import hashlib
import os
import sys

import torch
from transformers import BertForSequenceClassification, BertTokenizerFast

from common import GOLDEN, f32, forward, save

SENTENCES = [
    ("The cat sat on the mat.", "A cat was sitting on a mat."),
    ("No one expected the river to rise so quickly, and by noon the lower road could not be used.",
     "By midday the lower road was under water, although nobody had thought the river would rise that fast."),
    ("Prices fell.", "Prices rose."),
    ("A short one", None),
    ("Is it true that the old mill, the one behind the church, was sold to a family from the coast last spring?", None),
    ("!", None),
    ("She said \"yes\"; he said \u2018no\u2019 \u2014 caf\u00e9, na\u00efve, 3.50 \u20ac.", "They disagreed."),
    ("one two three four five six seven eight nine ten " * 12, "eleven twelve " * 20),
]
HEAD_VALUES = 16        # entries of each gradient stored as they are, evenly spaced over the tensor


def batch(tokenizer):
    rows = [tokenizer(a, b, truncation="longest_first", max_length=128) for a, b in SENTENCES]
    lengths = [len(r["input_ids"]) for r in rows]
    block = lambda key: [r[key] + [0] * (max(lengths) - len(r[key])) for r in rows]
    return block("input_ids"), block("token_type_ids"), lengths, [i % 2 for i in range(len(rows))]


def spaced(n):
    """Offsets 0, s, 2s, ... of at most HEAD_VALUES entries of a tensor of n."""
    return torch.arange(0, n, max(1, n // HEAD_VALUES))[:HEAD_VALUES]


def main():
    folder = sys.argv[1]
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        sha256 = hashlib.sha256(f.read()).hexdigest()
    model = BertForSequenceClassification.from_pretrained(folder, num_labels=2).eval()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        model.classifier.weight.normal_(0.0, 0.3, generator=generator)
        model.classifier.bias.normal_(0.0, 0.3, generator=generator)
    model.double()
    ids, types, lengths, labels = batch(BertTokenizerFast.from_pretrained(folder))
    out = forward(model, ids, types, lengths, labels)
    out.loss.backward()
    tensors = {"input_ids": ids, "token_type_ids": types, "lengths": lengths, "labels": labels,
               "logits": f32(out.logits), "loss": f32(out.loss.reshape(1)),
               "classifier.weight": f32(model.classifier.weight), "classifier.bias": f32(model.classifier.bias)}
    for n, p in model.named_parameters():
        g = p.grad.flatten()
        tensors["grad_norm." + n] = f32(g.norm().reshape(1))
        tensors["grad_max." + n] = f32(g.abs().max().reshape(1))
        tensors["grad_at." + n] = f32(g[spaced(len(g))])
    save(os.path.join(GOLDEN, "encoder", "minilm_l6.safetensors"), tensors, dict(
        model="all-MiniLM-L6-v2", model_sha256=sha256, computed="float64, rounded to float32",
        grad_at=f"every (n // {HEAD_VALUES})-th entry, at most {HEAD_VALUES}", torch=torch.__version__))
    print(out.logits, out.loss)


if __name__ == "__main__":
    main()
