"""
Full fine-tuning in plain PyTorch over given batches, to be laid beside a peftlab run of the same spec.

Both start from the same encoder and the same head, see the same rows in the same order, use no dropout and the same
AdamW, schedule and clipping; what is left is floating-point rounding.  The losses of the first steps should agree to
about 1e-3 (rounding grows with the steps), and nearly all dev predictions after an epoch.

    python tools/compare_pytorch.py --model minilm --head exported --task mrpc --data DATA --batches batches.txt \\
        --learning-rate 2e-5 --losses losses.csv --predictions predictions.csv

--batches: one line per optimizer step, the 0-based row numbers of train.tsv (header not counted) in the order of the
batch, separated by spaces or commas; `#` starts a comment.  --head: a Hugging Face directory whose classifier.* and
bert.pooler.* are taken (`peftlab export RUN.h5 --to hf DIR` of a run with learning rate 0, say).

losses.csv: step,loss,learning_rate,grad_norm,seconds (loss before the update, norm before clipping).
predictions.csv: index,label,prediction,score_0[,score_1,...] for every dev row in file order.
"""

import argparse
import csv
import math
import time

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import BertForSequenceClassification, BertTokenizerFast, get_scheduler

from reference import TASKS, encode, metrics, read_rows


def arguments():
    p = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--model", required=True, help="Hugging Face directory of the encoder")
    p.add_argument("--head", help="Hugging Face directory that pooler and classifier are taken from; default: --model")
    p.add_argument("--task", required=True, choices=sorted(TASKS))
    p.add_argument("--data", required=True, help="directory with glue/<TASK>/{train,dev}.tsv")
    p.add_argument("--batches", required=True, help="row numbers of each optimizer step")
    p.add_argument("--max-steps", type=int, help="stop after so many lines; the schedule still spans the whole file")
    p.add_argument("--schedule-steps", type=int, help="length of the schedule; default: the lines of --batches")
    p.add_argument("--max-seq-length", type=int, default=128)
    p.add_argument("--learning-rate", type=float, default=2e-5)
    p.add_argument("--head-learning-rate", type=float, help="for pooler and classifier; default: --learning-rate")
    p.add_argument("--lr-scheduler-type", default="linear",
                   choices=["linear", "cosine", "constant", "constant_with_warmup"])
    p.add_argument("--warmup-steps", type=int)
    p.add_argument("--warmup-ratio", type=float, default=0.0, help="share of the steps, rounded up")
    p.add_argument("--weight-decay", type=float, default=0.0)
    p.add_argument("--adam-beta1", type=float, default=0.9)
    p.add_argument("--adam-beta2", type=float, default=0.999)
    p.add_argument("--adam-epsilon", type=float, default=1e-8)
    p.add_argument("--max-grad-norm", type=float, default=1.0, help="0: no clipping")
    p.add_argument("--eval-batch-size", type=int, default=64)
    p.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    p.add_argument("--threads", type=int)
    p.add_argument("--losses", help="csv of the steps")
    p.add_argument("--predictions", help="csv of the dev rows after the last step")
    return p.parse_args()


def read_batches(path, rows):
    out = []
    with open(path) as f:
        for number, line in enumerate(f, 1):
            batch = [int(x) for x in line.split("#")[0].replace(",", " ").split()]
            if any(not 0 <= r < rows for r in batch):
                raise SystemExit(f"{path}:{number}: row outside 0..{rows - 1}")
            if batch:
                out.append(batch)
    return out


def is_head(name):
    return "pooler." in name or name.startswith("classifier.")


def load_model(a):
    """The encoder with dropout 0 and the given head; a tensor that neither directory holds is an error."""
    labels = TASKS[a.task][4]
    model, info = BertForSequenceClassification.from_pretrained(
        a.model, num_labels=labels, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, classifier_dropout=0.0,
        problem_type="regression" if labels == 1 else "single_label_classification",
        ignore_mismatched_sizes=True, output_loading_info=True)
    missing = set(info["missing_keys"]) | {m[0] for m in info["mismatched_keys"]}
    if a.head:
        head = {n: t for n, t in load_file(a.head + "/model.safetensors").items() if is_head(n)}
        unexpected = model.load_state_dict(head, strict=False).unexpected_keys
        if unexpected:
            raise SystemExit(f"{a.head}: no place for {' '.join(unexpected)}")
        missing -= set(head)
    if missing:
        raise SystemExit(f"neither --model nor --head holds {' '.join(sorted(missing))}")
    return model.to(getattr(torch, a.dtype))


def make_optimizer(model, a, steps):
    """AdamW in four groups: head or not, decayed or not (biases and LayerNorm weights are not), and its schedule."""
    groups = {}
    for n, p in model.named_parameters():
        groups.setdefault((is_head(n), "bias" in n or "LayerNorm.weight" in n), []).append(p)
    head_lr = a.learning_rate if a.head_learning_rate is None else a.head_learning_rate
    optimizer = torch.optim.AdamW(
        [dict(params=p, lr=head_lr if head else a.learning_rate, weight_decay=0.0 if plain else a.weight_decay)
         for (head, plain), p in groups.items()],
        lr=a.learning_rate, betas=(a.adam_beta1, a.adam_beta2), eps=a.adam_epsilon)
    warmup = a.warmup_steps if a.warmup_steps is not None else math.ceil(steps * a.warmup_ratio)
    return optimizer, get_scheduler(a.lr_scheduler_type, optimizer, warmup, steps)


def pad(ids, types):
    """The rows of one batch, right-padded to its longest."""
    width = max(map(len, ids))
    block = lambda rows: torch.tensor([r + [0] * (width - len(r)) for r in rows])
    return dict(input_ids=block(ids), token_type_ids=block(types), attention_mask=block([[1] * len(r) for r in ids]))


def train(model, a, rows, labels, batches):
    steps = a.schedule_steps or len(batches)
    optimizer, schedule = make_optimizer(model, a, steps)
    ids, types = rows
    model.train()
    out, tokens, start = [], 0, time.perf_counter()
    for step, batch in enumerate(batches[:a.max_steps]):
        begin = time.perf_counter()
        target = torch.tensor([labels[r] for r in batch])
        if target.is_floating_point():
            target = target.to(getattr(torch, a.dtype))
        optimizer.zero_grad()
        loss = model(**pad([ids[r] for r in batch], [types[r] for r in batch]), labels=target).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), a.max_grad_norm or math.inf)
        rate = optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()
        tokens += sum(len(ids[r]) for r in batch)
        out.append((step, loss.item(), rate, norm.item(), time.perf_counter() - begin))
        if step < 3 or (step + 1) % 20 == 0:
            print(f"step {step}: loss {out[-1][1]:.6f}, grad norm {out[-1][3]:.4f}", flush=True)
    seconds = time.perf_counter() - start
    print(f"{len(out)} steps, {seconds:.1f} s, {tokens / seconds:.0f} tokens/s (padding not counted)")
    return out


def predict(model, a, rows):
    model.eval()
    ids, types = rows
    scores = []
    with torch.no_grad():
        for i in range(0, len(ids), a.eval_batch_size):
            j = i + a.eval_batch_size
            scores.append(model(**pad(ids[i:j], types[i:j])).logits.double().numpy())
    return np.concatenate(scores)


def write_csv(path, header, rows):
    with open(path, "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(header)
        w.writerows(rows)


def main():
    a = arguments()
    if a.threads:
        torch.set_num_threads(a.threads)
    tokenizer = BertTokenizerFast.from_pretrained(a.model)
    texts, labels = read_rows(a.data, a.task, "train")
    batches = read_batches(a.batches, len(labels))
    model = load_model(a)
    steps = train(model, a, encode(tokenizer, texts, a.max_seq_length), labels, batches)
    if a.losses:
        write_csv(a.losses, ("step", "loss", "learning_rate", "grad_norm", "seconds"), steps)
    texts, labels = read_rows(a.data, a.task, "dev")
    scores = predict(model, a, encode(tokenizer, texts, a.max_seq_length))
    print("dev:", ", ".join(f"{k} {v:.6f}" for k, v in metrics(a.task, labels, scores).items()))
    if a.predictions:
        best = scores[:, 0] if scores.shape[1] == 1 else scores.argmax(axis=1)
        write_csv(a.predictions, ["index", "label", "prediction"] + [f"score_{c}" for c in range(scores.shape[1])],
                  ([i, y, p, *s] for i, (y, p, s) in enumerate(zip(labels, best, scores))))


if __name__ == "__main__":
    main()
