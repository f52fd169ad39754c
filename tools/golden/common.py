"""
What the makers of golden files share: where the tree is, seeded random BERTs, padded random batches, and writing
safetensors whose metadata says how the numbers came about.

Nothing here is needed to build or run peftlab; the files it makes are committed.  See README.md in this folder.
"""

import json
import os
import struct

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(ROOT, "tests", "golden")

_DTYPES = {np.dtype("<f4"): "F32", np.dtype("<i4"): "I32", np.dtype("<f8"): "F64"}


def save(path, tensors, metadata=None):
    """Writes a safetensors file: names sorted, no holes, header padded to 8 bytes, so that a rerun is bit-equal."""
    header, blobs, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = {k: str(v) for k, v in metadata.items()}
    for name in sorted(tensors):
        a = np.asarray(tensors[name])
        if a.dtype.kind in "iu":
            a = a.astype("<i4")
        elif a.dtype != np.dtype("<f8"):
            a = a.astype("<f4")
        a = np.ascontiguousarray(a)
        blob = a.tobytes()
        header[name] = {"dtype": _DTYPES[a.dtype], "shape": list(a.shape), "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.writelines(blobs)


def f32(t):
    """A float64 result as stored: rounded once, to nearest."""
    return t.detach().to(torch.float32).cpu().numpy()


def random_bert(seed, **config):
    """
    A BertForSequenceClassification in which no parameter is 0 or 1: transformers' own initialisation leaves biases at 0
    and LayerNorm weights at 1, which would hide a missing bias or a forgotten scale.
    """
    torch.manual_seed(seed)
    model = BertForSequenceClassification(BertConfig(
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, type_vocab_size=2, initializer_range=0.2, **config))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("LayerNorm.weight"):
                p.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                p.normal_(0.0, 0.2)
            elif name == "bert.embeddings.word_embeddings.weight":
                p[0].normal_(0.0, 0.2)      # transformers zeroes [PAD]'s row
    return model


def random_batch(rng, lengths, width, vocab):
    """
    Sequences of the given lengths, right-padded with 0 to `width`.  Ids start at 1: id 0 is the padding index, whose
    embedding gradient transformers leaves out.  Every second sequence is a pair: token types switch to 1 in the middle.
    """
    ids = np.zeros((len(lengths), width), np.int32)
    types = np.zeros_like(ids)
    for i, n in enumerate(lengths):
        ids[i, :n] = rng.integers(1, vocab, n)
        if i % 2 == 1:
            types[i, n // 2:n] = 1
    return ids, types


def forward(model, ids, types, lengths, labels):
    """Loss (mean over the examples) and logits of a padded batch; the attention mask comes from the lengths."""
    ids = torch.as_tensor(np.asarray(ids), dtype=torch.long)
    mask = torch.arange(ids.shape[1])[None, :] < torch.as_tensor(np.asarray(lengths))[:, None]
    dtype = next(model.parameters()).dtype
    labels = torch.as_tensor(np.asarray(labels))
    labels = labels.to(dtype) if labels.is_floating_point() else labels.long()
    return model(input_ids=ids, token_type_ids=torch.as_tensor(np.asarray(types), dtype=torch.long),
                 attention_mask=mask.long(), labels=labels)
