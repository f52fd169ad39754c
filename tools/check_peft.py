"""
An exported adapter in Hugging Face's PEFT, beside peftlab's own numbers.

Loads DIRECTORY (peftlab export RUN.h5 --to peft DIRECTORY) with PeftModel.from_pretrained on its base model and prints
the largest difference of the logits

    --hf DIR       from those of the merged model (peftlab export RUN.h5 --to hf DIR) on random token sequences,
    --run RUN.h5   from /predictions/scores on the dev rows of the task, read from --data (GLUE's TSV layout).

Exit code 1 if one of them is above --tolerance. LoRA, DoRA and IA3 need peft 0.9 or later, SHiRA 0.16 or later.
"""

import argparse
import json
import os
import sys
import warnings

import numpy as np
import torch

warnings.filterwarnings("ignore")
from peft import PeftModel, __version__ as peft_version  # noqa: E402
from transformers import AutoModelForSequenceClassification, AutoTokenizer, __version__ as transformers_version  # noqa: E402

from reference import TASKS, encode, read_rows  # noqa: E402


def random_batch(config, seed, rows=16, length=24):
    """Token ids of full sequences: no padding, so that no mask hides an error."""
    r = np.random.default_rng(seed)
    most = min(length, config.max_position_embeddings - 2)
    return torch.tensor(r.integers(5, config.vocab_size, (rows, most)))


def logits(model, ids, types=None):
    with torch.no_grad():
        return model(input_ids=ids, token_type_ids=types).logits.numpy()


def against_hf(model, directory, batches):
    merged = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    worst = 0.0
    for seed in range(batches):
        ids = random_batch(merged.config, seed)
        worst = max(worst, float(np.abs(logits(model, ids) - logits(merged, ids)).max()))
    return worst


def against_run(model, base, run, card, data, rows):
    import h5py

    with h5py.File(run) as f:
        index, scores = f["predictions/index"][:rows], f["predictions/scores"][:rows]
    tokenizer = AutoTokenizer.from_pretrained(base)
    texts, _ = read_rows(data, card["task"], "dev")
    ids, types = encode(tokenizer, texts, card["max_seq_length"])
    worst = 0.0
    for i, row in enumerate(index):
        out = logits(model, torch.tensor([ids[row]]), torch.tensor([types[row]]))
        worst = max(worst, float(np.abs(out[0] - scores[i]).max()))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory")
    parser.add_argument("--hf")
    parser.add_argument("--run")
    parser.add_argument("--data", default=os.environ.get("PEFTLAB_DATA"))
    parser.add_argument("--base", help="base model where it lies elsewhere now")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()

    with open(os.path.join(args.directory, "adapter_config.json")) as f:
        config = json.load(f)
    with open(os.path.join(args.directory, "peftlab.json")) as f:
        card = json.load(f)
    labels = TASKS[card["task"]][4] if card["task"] in TASKS else 1 if card["task"] == "synth_similarity" else 2
    labels = 3 if card["task"] in ("mnli", "synth_entailment") else labels
    path = args.base or config["base_model_name_or_path"]
    base = AutoModelForSequenceClassification.from_pretrained(path, num_labels=labels)
    model = PeftModel.from_pretrained(base, args.directory).eval()

    print(f"{config['peft_type']} of {card['method']}: peft {peft_version}, transformers {transformers_version}")
    worst = []
    if args.hf:
        worst.append(against_hf(model, args.hf, args.batches))
        print(f"largest logit difference from the merged model: {worst[-1]:.3g}")
    if args.run:
        worst.append(against_run(model, path, args.run, card, args.data, args.rows))
        print(f"largest logit difference from the run's predictions: {worst[-1]:.3g}")
    return int(not worst or max(worst) > args.tolerance)


if __name__ == "__main__":
    sys.exit(main())
