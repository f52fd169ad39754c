"""
HF Trainer's own numbers to lay beside peftlab's: full fine-tuning of an encoder on one GLUE task, several seeds,
dropout as the model's config.json says.  Batches, head and dropout masks are the Trainer's, so single runs do not
compare, only means and spreads over seeds.

    python tools/trainer_baseline.py --model minilm --data DATA --task mrpc --seeds 42 43 44 --learning-rate 2e-5

Prints one line per seed and epoch with the dev metrics, then mean and standard deviation (n-1) of the last epoch.
"""

import argparse
import statistics
import tempfile
import time

import numpy as np
import torch
from transformers import (AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer,
                          TrainerCallback, TrainingArguments, set_seed)
from transformers.trainer_callback import PrinterCallback

from reference import TASKS, encode, metrics, read_rows


def arguments():
    p = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--model", required=True, help="Hugging Face directory")
    p.add_argument("--data", required=True, help="directory with glue/<TASK>/{train,dev}.tsv")
    p.add_argument("--task", default="mrpc", choices=sorted(TASKS))
    p.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    p.add_argument("--num-train-epochs", type=float, default=3)
    p.add_argument("--max-steps", type=int, default=-1)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--learning-rate", type=float, default=2e-5)
    p.add_argument("--lr-scheduler-type", default="linear")
    p.add_argument("--warmup-ratio", type=float, default=0.0)
    p.add_argument("--weight-decay", type=float, default=0.0)
    p.add_argument("--max-seq-length", type=int, default=128)
    p.add_argument("--threads", type=int)
    return p.parse_args()


def dataset(data, task, split, tokenizer, max_length):
    texts, labels = read_rows(data, task, split)
    ids, types = encode(tokenizer, texts, max_length)
    return [dict(input_ids=i, token_type_ids=t, attention_mask=[1] * len(i), labels=y)
            for i, t, y in zip(ids, types, labels)]


class Report(TrainerCallback):
    """One line per evaluation; keeps the last one."""

    def __init__(self, seed):
        self.seed, self.last = seed, {}

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        skip = ("eval_loss", "eval_runtime", "eval_samples_per_second", "eval_steps_per_second")
        self.last = {k[5:]: v for k, v in metrics.items() if k.startswith("eval_") and k not in skip}
        numbers = ", ".join(f"{k} {v:.4f}" for k, v in self.last.items())
        print(f"seed {self.seed} epoch {state.epoch:g}: {numbers}", flush=True)


def run(a, seed, tokenizer, train, dev, folder):
    """One seed, head included: the model is made after the seed is set, as the Trainer's examples do."""
    labels = TASKS[a.task][4]
    set_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        a.model, num_labels=labels, problem_type="regression" if labels == 1 else "single_label_classification")
    args = TrainingArguments(
        folder, seed=seed, use_cpu=True, num_train_epochs=a.num_train_epochs, max_steps=a.max_steps,
        per_device_train_batch_size=a.batch_size, per_device_eval_batch_size=64, learning_rate=a.learning_rate,
        lr_scheduler_type=a.lr_scheduler_type, warmup_ratio=a.warmup_ratio, weight_decay=a.weight_decay,
        evaluation_strategy="epoch", save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no")
    report = Report(seed)
    trainer = Trainer(
        model, args, data_collator=DataCollatorWithPadding(tokenizer), train_dataset=train, eval_dataset=dev,
        compute_metrics=lambda p: metrics(a.task, p.label_ids, np.asarray(p.predictions).reshape(len(dev), -1)),
        callbacks=[report])
    trainer.remove_callback(PrinterCallback)
    start = time.perf_counter()
    trainer.train()
    print(f"seed {seed}: {trainer.state.global_step} steps, {time.perf_counter() - start:.0f} s", flush=True)
    return report.last


def main():
    a = arguments()
    if a.threads:
        torch.set_num_threads(a.threads)
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    train, dev = (dataset(a.data, a.task, s, tokenizer, a.max_seq_length) for s in ("train", "dev"))
    with tempfile.TemporaryDirectory() as folder:
        results = [run(a, seed, tokenizer, train, dev, folder) for seed in a.seeds]
    for k in results[0]:
        values = [r[k] for r in results]
        spread = f" +- {statistics.stdev(values):.4f}" if len(values) > 1 else ""
        print(f"{a.task} {k}: {statistics.mean(values):.4f}{spread} over seeds {' '.join(map(str, a.seeds))}")


if __name__ == "__main__":
    main()
