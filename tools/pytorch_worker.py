"""
The PyTorch side of bench-pytorch.py: a program of its own, so that the memory it takes is PyTorch's alone.

Reads one JSON object, the case: {config, method, options, batches, eval, threads, attn, adamw, micro_batch, sgemm},
builds the model with random weights and answers {trained, head, attn, adamw, versions, rss: {import, model}}. Then, for
each line read, one JSON object:

    step I     {seconds, tokens, padded, phases}: one step on batch I of the case (inference with `eval`)
    sgemm      {gflops}: torch.nn.functional.linear at the case's sgemm [m, n, k], over about 100 ms
    memory     {peak_rss, rss}: VmHWM and VmRSS of this process, in bytes, sgemm's share left out

{"probe": true} in the case: answers {"eager": s, "sdpa": s or null} instead, seconds of forward and backward of at most
two layers of the shape in each attention that transformers has for it, and ends.

A case it cannot do: {"error": text}, then the end.
"""

import json
import os
import sys
from time import perf_counter


def say(**what):
    print(json.dumps(what), flush=True)


def memory():
    with open("/proc/self/status") as f:
        kb = {line.split(":")[0]: line.split()[1] for line in f if line.startswith(("VmHWM", "VmRSS"))}
    return dict(peak_rss=1024 * int(kb["VmHWM"]), rss=1024 * int(kb["VmRSS"]))


def reset_peak():
    """VmHWM becomes VmRSS."""
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass  # the peak then includes what was to be left out


def pad_token(config):
    return config.get("pad_token_id", 1 if config["model_type"] == "roberta" else 0)


def build(config, attn, layers=None):
    """BertForSequenceClassification or RobertaForSequenceClassification; ValueError without this attention."""
    from transformers import AutoConfig, AutoModelForSequenceClassification
    fields = dict(hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, num_labels=2)
    fields.update({k: v for k, v in config.items() if k != "model_type"}, hidden_act="gelu",
                  pad_token_id=pad_token(config))
    if layers:
        fields["num_hidden_layers"] = layers
    return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(config["model_type"], **fields),
                                                          attn_implementation=attn)


def collate(lengths, config):
    """Random ids of these lengths, padded to the longest as DataCollatorWithPadding does, and labels."""
    import torch
    longest, vocab = max(lengths), config["vocab_size"]
    mask = torch.arange(longest)[None, :] < torch.tensor(lengths)[:, None]
    ids = torch.randint(min(5, vocab - 1), vocab, mask.shape)
    ids[~mask] = pad_token(config)
    labels = torch.randint(0, config.get("num_labels", 2), (len(lengths),))
    batch = dict(input_ids=ids, attention_mask=mask.long(), labels=labels)
    if config["model_type"] == "bert":
        batch["token_type_ids"] = torch.zeros_like(ids)
    return batch


def micro_batches(lengths, rows, config):
    """Batches of at most so many rows, each with its share of the loss."""
    pieces = [lengths[i:i + rows] for i in range(0, len(lengths), rows)] if rows else [lengths]
    return [(collate(p, config), len(p) / len(lengths)) for p in pieces]


def adamw_of(wanted, rate=2e-5):
    """The fastest AdamW that this PyTorch has for the CPU (fused, else foreach), or the one that is wanted."""
    import torch
    for name in [wanted] if wanted != "auto" else ["fused", "foreach"]:
        arguments = {"fused": dict(fused=True), "foreach": dict(foreach=True), "loop": dict(foreach=False)}[name]
        try:
            torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=rate, weight_decay=0.0, **arguments)
        except (RuntimeError, TypeError):
            continue
        return name, lambda p: torch.optim.AdamW(p, lr=rate, weight_decay=0.0, **arguments)
    raise SystemExit(f"this PyTorch has no AdamW ({wanted}) for the CPU")


class Bench:
    """One case, ready to be stepped."""

    def __init__(self, case):
        import torch
        from pytorch_methods import METHODS
        self.eval, config = case["eval"], case["config"]
        if case["method"] not in METHODS:
            raise SystemExit(f"no {case['method']} on this side (there is: {', '.join(METHODS)})")
        self.method = METHODS[case["method"]](build(config, case["attn"]), case["options"])
        self.model = self.method.model.train(not self.eval)
        self.adamw, make = adamw_of(case["adamw"])
        self.optimizers = [] if self.eval else self.method.optimizers(make)
        self.lengths = case["batches"]
        self.batches = [micro_batches(b, case["micro_batch"], config) for b in case["batches"]]
        self.shape, self.peak = case["sgemm"], 0
        self.torch = torch

    def train(self, pieces, mark):
        for o in self.optimizers:
            o.zero_grad(set_to_none=True)
        for batch, share in pieces:
            loss = self.model(**batch).loss * share
            mark("forward")
            loss.backward()
            mark("backward")
        self.method.gradients()
        for o in self.optimizers:
            o.step()
        self.method.stepped()
        mark("optimizer")

    def infer(self, pieces, mark):
        with self.torch.inference_mode():
            for batch, _ in pieces:
                self.model(**batch)
        mark("forward")

    def step(self, i):
        phases, last = {}, [perf_counter()]

        def mark(phase):
            now = perf_counter()
            phases[phase] = phases.get(phase, 0) + now - last[0]
            last[0] = now

        (self.infer if self.eval else self.train)(self.batches[i], mark)
        padded = sum(b["input_ids"].numel() for b, _ in self.batches[i])
        return dict(seconds=sum(phases.values()), tokens=sum(self.lengths[i]), padded=padded, phases=phases)

    def memory(self):
        now = memory()
        self.peak = max(self.peak, now["peak_rss"])
        return dict(now, peak_rss=self.peak)

    def sgemm(self):
        self.memory()
        out = dict(gflops=self.linear_rate())
        reset_peak()
        return out

    def linear_rate(self):
        m, n, k = self.shape
        x, w = self.torch.randn(m, k), self.torch.randn(n, k)
        with self.torch.inference_mode():
            self.torch.nn.functional.linear(x, w)
            start, done = perf_counter(), 0
            while perf_counter() < start + 0.1:
                self.torch.nn.functional.linear(x, w)
                done += 1
        return 2e-9 * m * n * k * done / (perf_counter() - start)


def time_attentions(case):
    """Seconds of forward and backward (of inference) with each attention: the best of three, taken in turn after two
    more, because memory that is touched for the first time is slow. None for one that transformers lacks."""
    import torch
    pieces = micro_batches(max(case["batches"], key=sum), case["micro_batch"], case["config"])
    models, seconds = {}, {"eager": None, "sdpa": None}
    for attn in seconds:
        try:
            model = build(case["config"], attn, min(2, case["config"]["num_hidden_layers"]))
            models[attn] = model.train(not case["eval"])
        except ValueError:
            pass
    for i in range(5):
        for attn, model in models.items():
            start = perf_counter()
            with torch.inference_mode(case["eval"]):
                for batch, _ in pieces:
                    loss = model(**batch).loss
                    if not case["eval"]:
                        loss.backward()
            if i >= 2:
                seconds[attn] = min(perf_counter() - start, seconds[attn] or float("inf"))
    return seconds


def versions(names):
    import torch
    out = {n: __import__(n).__version__ for n in names}
    for line in torch.__config__.show().splitlines():
        for name, key in ("Math Kernel Library", "mkl"), ("MKL-DNN", "onednn"):
            if name in line:
                out[key] = line.split("ersion" if key == "mkl" else " v")[1].split()[0].split("-")[0]
    out["isa"] = torch.backends.cpu.get_cpu_capability() if hasattr(torch.backends, "cpu") else "?"
    return out


def serve(case):
    import torch
    import transformers
    imports = ["torch", "transformers"] + (["peft"] if case["method"] in ("lora", "dora", "ia3") else [])
    made_by = versions(imports)
    imported = memory()["rss"]
    torch.set_num_threads(case["threads"])
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    if case.get("probe"):
        return say(**time_attentions(case))
    bench = Bench(case)
    say(trained=bench.method.count(), head=bench.method.head, attn=case["attn"], adamw=bench.adamw, versions=made_by,
        rss={"import": imported, "model": memory()["rss"]})
    for line in sys.stdin:
        command, *argument = line.split()
        if command == "step":
            say(**bench.step(int(argument[0])))
        else:
            say(**(bench.sgemm() if command == "sgemm" else bench.memory()))


def main():
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    case = json.loads(sys.stdin.readline())
    try:
        serve(case)
    except ImportError as e:
        say(error=f"{e} (needs torch 2.1 or later, transformers, and peft for lora, dora and ia3)")
    except (SystemExit, ValueError, RuntimeError, MemoryError) as e:
        say(error=f"PyTorch: {str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__}")


if __name__ == "__main__":
    main()
