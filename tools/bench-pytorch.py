"""
peftlab beside PyTorch + transformers + peft: the same work, on the same threads, in alternation, and the ratio.

    python tools/bench-pytorch.py --peftlab build/release/peftlab --shapes bert-base,minilm --methods full,lora \\
        --lengths 128,mrpc --batch 32 --rounds 5 --csv pytorch.csv

For whoever has PyTorch; peftlab needs nothing of it. To be run with the Python that has torch (2.1 or later),
transformers, and peft for lora, dora and ia3.

What is compared.  For each case `peftlab bench --paced` is started; it says the shape, how many scalars it trains
and the lengths of the rows of each batch. A second process, of this Python, builds BertForSequenceClassification or
RobertaForSequenceClassification of that shape with random weights, and batches of random token ids with exactly these
lengths, padded to the longest of the batch as DataCollatorWithPadding does, with their attention mask. One step of each
is then the whole of a training step: gradients cleared (set_to_none), forward with dropout 0.1, loss, backward,
clipping to norm 1, AdamW without decay. Not in it, on both sides: reading and tokenizing data, the learning-rate
schedule, logging. --eval: forward alone (eval(), torch.inference_mode()). Float32 throughout, no compilation.
Methods, and whose code they are: pytorch_methods.py. Scalars trained must agree within 2 %, else nothing is compared.

PyTorch gets the fastest that is official: AdamW fused where it has that for the CPU, else foreach (--adamw), and eager
or sdpa attention (--attn), whichever is faster for two layers of the shape on its largest batch; both times are told on
standard error. Its batch is one piece, as the Trainer's is; --micro-batch N splits it, which lowers its memory. --env
LD_PRELOAD=libjemalloc.so, say, is for its process alone. rowsft is a branch beside the frozen weights, as published,
and the faster; `rowsft:dense` takes rows out of dense gradients.

How.  After two steps each (PyTorch: until two successive ones agree within 5 %, at most 5; always its longest batch)
come rounds: a step of either side on the same batch, and 100 ms of matrix products of either side in its own BLAS;
every other round PyTorch is first. A side starts when the other has stopped using the processor: OpenMP's threads go on
spinning for a while after their work (PyTorch's libgomp some milliseconds; libiomp5, of other builds, 200). Passive
waiting would spare that and change what is measured, so OMP_WAIT_POLICY is left as it is, and this program waits until
the clock of the other process's CPU time stands still.

tokens/s counts real tokens on both sides, padding never. Given are medians (least to most), the ratio of the medians
(least to most of the ratios of the rounds), each side's share of its own rate of matrix products in the same run
(operations of both sides as peftlab counts them: matrix products of real tokens), and peak resident memory of each
process as the kernel counts it (VmHWM), set-up included (SIFT's selection, say), the matrix products of the yardstick
not. PyTorch's includes its libraries, whose share depends on how it was built: what was resident after importing them
is printed beside.

Options of a method, such as sift.density=0.02, go to both sides; others, such as train.piece_tokens=512, to peftlab.
"""

import argparse
import csv
import datetime
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NEEDS_PEFT = ("lora", "dora", "ia3")


def arguments():
    p = argparse.ArgumentParser(description="peftlab beside PyTorch; what is compared: see the head of this file.")
    p.add_argument("options", nargs="*", metavar="key=value", help="options of methods, and of `peftlab bench`")
    p.add_argument("--peftlab", default="build/release/peftlab", help="the program (default %(default)s)")
    p.add_argument("--shapes", default="bert-base", help="comma-separated (default %(default)s)")
    p.add_argument("--methods", default="full", help="comma-separated (default %(default)s)")
    p.add_argument("--lengths", default="128", help="comma-separated: a number, or a mix (default %(default)s)")
    p.add_argument("--batch", default="32", help="comma-separated (default %(default)s)")
    p.add_argument("--cases", metavar="FILE", help="in place of these four: lines of `shape method lengths batch`")
    p.add_argument("--layers", type=int, help="so many layers of the shape alone")
    p.add_argument("--eval", action="store_true", help="inference in place of training steps")
    p.add_argument("--rounds", type=int, default=5, help="(default %(default)s)")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="(default: all, %(default)s)")
    p.add_argument("--attn", default="auto", choices=["auto", "eager", "sdpa"], help="PyTorch's attention")
    p.add_argument("--adamw", default="auto", choices=["auto", "fused", "foreach", "loop"], help="PyTorch's AdamW")
    p.add_argument("--micro-batch", type=int, default=0, metavar="ROWS", help="split PyTorch's batch (default: whole)")
    p.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="for PyTorch's process alone")
    p.add_argument("--csv", metavar="FILE", help="append one line per case")
    a = p.parse_intermixed_args()
    if a.rounds < 1 or a.threads < 1 or a.micro_batch < 0:
        p.error("--rounds and --threads are at least 1, --micro-batch at least 0")
    for pair in a.options + a.env:
        if "=" not in pair:
            p.error(f"not key=value: {pair}")
    return a


class Failure(Exception):
    """One line for whoever called."""


# ----------------------------------------------------------------------------------------------------------------------
# Programs that are driven line by line


def busy(pid):
    """Nanoseconds on the processor of all threads of a process and of its children (peftlab's case is one)."""
    total = 0
    try:
        for task in os.scandir(f"/proc/{pid}/task"):
            with open(f"{task.path}/schedstat") as f:
                total += int(f.read().split()[0])
            with open(f"{task.path}/children") as f:
                total += sum(busy(int(child)) for child in f.read().split())
    except OSError:
        pass  # it has ended, which the next answer tells
    return total


class Program:
    """A child process that answers each line with one JSON object."""

    def __init__(self, name, command, environment, first=None):
        self.name = name
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                      text=True, env=environment)
        self.setup = self.ask(json.dumps(first)) if first else self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        try:
            self.child.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()
        self.errors.close()

    def ask(self, line):
        try:
            print(line, file=self.child.stdin, flush=True)
        except BrokenPipeError:
            pass  # what it said last is told by answer()
        return self.answer()

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise Failure(f"{self.name} ended early ({self.ending()}): {self.said()}")
        try:
            out = json.loads(line)
        except ValueError:
            raise Failure(f"{self.name} answered what is not JSON: {line.strip()[:120]}") from None
        if "error" in out:
            raise Failure(out["error"])
        return out

    def ending(self):
        code = self.child.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def said(self):
        self.errors.seek(0)
        lines = [x.strip() for x in self.errors.read().splitlines() if x.strip()]
        return lines[-1] if lines else "nothing on its standard error"

    def settle(self, longest=2.0):
        """Waits until it has not used the processor for 10 ms; returns the seconds that took."""
        start, before = time.perf_counter(), -1
        while time.perf_counter() < start + longest:
            now = busy(self.child.pid)
            if now == before:
                break
            before = now
            time.sleep(0.01)
        return time.perf_counter() - start

    def run(self, line):
        out = self.ask(line)
        out["settled"] = self.settle()
        return out


def environment(a):
    out = dict(os.environ)
    out.update(OMP_NUM_THREADS=str(a.threads), MKL_NUM_THREADS=str(a.threads), OMP_DYNAMIC="false",
               TOKENIZERS_PARALLELISM="false")
    out.pop("OPENBLAS_NUM_THREADS", None)
    return out


def pytorch(a, case):
    """PyTorch's process, ready for this case."""
    return Program("PyTorch", [sys.executable, os.path.join(HERE, "pytorch_worker.py")],
                   dict(environment(a), **dict(pair.split("=", 1) for pair in a.env)), case)


# ----------------------------------------------------------------------------------------------------------------------
# Cases


def value(text):
    """A value of key=value as peftlab reads it: true, 3, 0.5, word, or a list: [a, b] or a,b."""
    if "," in text or text.startswith("["):
        return [value(x.strip()) for x in text.strip("[]").split(",") if x.strip()]
    words = {"true": True, "false": False, "null": None, "none": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def method_options(a, method):
    pairs = [o.split("=", 1) for o in a.options if o.startswith(method + ".")]
    options = {key[len(method) + 1:]: value(text) for key, text in pairs}
    for key in options:
        if key.endswith("_modules") and not isinstance(options[key], list):
            options[key] = [options[key]]
    return options


def cases(a):
    if not a.cases:
        return [(s, m, n, b) for s in a.shapes.split(",") for n in a.lengths.split(",") for b in a.batch.split(",")
                for m in a.methods.split(",")]
    try:
        with open(a.cases) as f:
            out = [line.split("#")[0].split() for line in f]
    except OSError as e:
        raise Failure(f"{a.cases}: {e.strerror}") from None
    wrong = [i for i, words in enumerate(out, 1) if words and len(words) != 4]
    if wrong:
        raise Failure(f"{a.cases}:{wrong[0]}: not `shape method lengths batch`")
    return [tuple(words) for words in out if words]


def check(a, listed):
    if not shutil.which(a.peftlab):
        raise Failure(f"{a.peftlab}: no such program; build it, or name it with --peftlab")
    for module in ["torch", "transformers"] + (["peft"] if any(c[1] in NEEDS_PEFT for c in listed) else []):
        if not importlib.util.find_spec(module):
            raise Failure(f"{sys.executable} has no module {module}")


class Attention:
    """Which of the attentions is faster for a shape and batch; timed once for each."""

    def __init__(self, a):
        self.a, self.known = a, {}

    def of(self, case, what):
        if self.a.attn != "auto":
            return self.a.attn
        if what not in self.known:
            with pytorch(self.a, dict(case, probe=True)) as p:
                times = {k: v for k, v in p.setup.items() if v is not None}
            self.known[what] = min(times, key=times.get)
            seconds = ", ".join(f"{k} {v:.3f} s" for k, v in times.items())
            only = "" if len(times) > 1 else "; transformers has no other"
            note(f"PyTorch's attention, {' '.join(what)}, two layers: {seconds}{only}")
        return self.known[what]


def note(text):
    print(f"bench-pytorch: {text}", file=sys.stderr, flush=True)


def peftlab_command(a, listed, shape, method, lengths, batch):
    """Options of methods that are not this case's are left out."""
    method = method.split(":")[0]
    others = {c[1].split(":")[0] for c in listed} - {method}
    own = [o for o in a.options if o.split(".")[0] not in others]
    return ([a.peftlab, "bench", *own, "--shape", shape, "--method", method, "--seq", lengths, "--batch", batch,
             "--threads", str(a.threads), "--paced"]
            + (["--layers", str(a.layers)] if a.layers else []) + (["--eval"] if a.eval else []))


# ----------------------------------------------------------------------------------------------------------------------
# Measuring one case


def same_work(ours, theirs):
    n, m = ours["trained"], theirs["trained"]
    if abs(n - m) > 0.02 * max(n, m):
        raise Failure(f"not the same work: peftlab trains {n:,} scalars, PyTorch {m:,}, {theirs['head']:,} of them in"
                      " the head")


def warm_up(ours, theirs, batches):
    """Returns the number of steps that ours has made, and PyTorch's."""
    for _ in range(2):
        ours.run("step")
    longest = max(range(len(batches)), key=lambda i: len(batches[i]) * max(batches[i]))
    seconds = []
    while len(seconds) < 2 or (len(seconds) < 5 and abs(seconds[-1] / seconds[-2] - 1) > 0.05):
        seconds.append(theirs.run(f"step {longest}")["seconds"])
    return 2, len(seconds)


def one_round(ours, theirs, batch, theirs_first):
    """Answers of both to a step on the same batch and to sgemm: [ours, theirs]."""
    out = [{}, {}]
    sides = [(0, ours, "step"), (1, theirs, f"step {batch}"), (0, ours, "sgemm"), (1, theirs, "sgemm")]
    for i in (1, 0, 3, 2) if theirs_first else (0, 1, 2, 3):
        side, program, line = sides[i]
        out[side].update(program.run(line))
    if out[0]["tokens"] != out[1]["tokens"]:
        raise Failure(f"not the same batch: {out[0]['tokens']} tokens and {out[1]['tokens']}")
    for x in out:
        x["rate"] = x["tokens"] / x["seconds"]
        x["share"] = out[0]["flops"] / x["seconds"] / 1e9 / x["gflops"]
    return out


def measure(a, listed, attention, shape, method, lengths, batch):
    with Program("peftlab", peftlab_command(a, listed, shape, method, lengths, batch), environment(a)) as ours:
        first = ours.setup
        hidden, inner = first["config"]["hidden_size"], first["config"]["intermediate_size"]
        case = dict(config=first["config"], batches=first["batches"], eval=a.eval, threads=a.threads, adamw=a.adamw,
                    method=method, options=method_options(a, method.split(":")[0]), micro_batch=a.micro_batch,
                    sgemm=first.get("sgemm", [1024, inner, hidden]))
        case["attn"] = attention.of(case, (shape, lengths, batch))
        with pytorch(a, case) as theirs:
            if not a.eval:
                same_work(first, theirs.setup)
            made, warm = warm_up(ours, theirs, first["batches"])
            rounds = []
            for i in range(a.rounds):
                rounds.append(one_round(ours, theirs, (made + i) % len(first["batches"]), i % 2 == 1))
            memories = ours.ask("memory"), theirs.ask("memory")
            return row(a, (shape, method, lengths, batch), rounds, memories, first, theirs.setup, warm)


# ----------------------------------------------------------------------------------------------------------------------
# Results


def row(a, case, rounds, memories, ours, theirs, warm):
    out = dict(zip(("shape", "method", "lengths", "batch"), case), layers=ours["config"]["num_hidden_layers"],
               eval=int(a.eval), threads=a.threads, rounds=len(rounds), trained=ours["trained"],
               pytorch_trained=theirs["trained"], pytorch_head=theirs["head"], attn=theirs["attn"],
               adamw=theirs["adamw"], micro_batch=a.micro_batch, pytorch_warm_up=warm)
    for i, side in enumerate(("peftlab", "pytorch")):
        for name in ("rate", "seconds", "gflops", "share"):
            values = [r[i][name] for r in rounds]
            out[f"{side}_{name}"] = statistics.median(values)
            out[f"{side}_{name}_min"], out[f"{side}_{name}_max"] = min(values), max(values)
        out[f"{side}_settled"] = max(r[i]["settled"] for r in rounds)
        out[f"{side}_peak_rss"] = memories[i]["peak_rss"]
    out["peftlab_step_peak_rss"] = memories[0].get("step_peak_rss", "")
    ratios = [r[0]["rate"] / r[1]["rate"] for r in rounds]
    out.update(ratio=out["peftlab_rate"] / out["pytorch_rate"], ratio_min=min(ratios), ratio_max=max(ratios),
               rss_ratio=out["peftlab_peak_rss"] / out["pytorch_peak_rss"], pytorch_import_rss=theirs["rss"]["import"],
               padding=1 - sum(r[1]["tokens"] for r in rounds) / sum(r[1]["padded"] for r in rounds))
    out.update({f"{k}_version": v for k, v in theirs["versions"].items()})
    return out


COLUMNS = ["shape", "method", "lengths × batch", "trained", "peftlab tokens/s", "PyTorch tokens/s", "ratio",
           "SGEMM share", "peak RSS, MB", "ratio", "PyTorch"]


def spread(r, name, form):
    return f"{format(r[name], form)} ({format(r[name + '_min'], form)}–{format(r[name + '_max'], form)})"


def markdown(r):
    mb = {k: f"{r[k] / 1e6:,.0f}" for k in ("peftlab_peak_rss", "pytorch_peak_rss", "pytorch_import_rss")}
    return [r["shape"], r["method"] + (", inference" if r["eval"] else ""),
            f"{r['lengths']} × {r['batch']}, {100 * r['padding']:.0f} % padding", f"{r['trained']:,}",
            spread(r, "peftlab_rate", ",.0f"), spread(r, "pytorch_rate", ",.0f"), f"**{spread(r, 'ratio', '.2f')}**",
            f"{100 * r['peftlab_share']:.0f} % / {100 * r['pytorch_share']:.0f} %",
            f"{mb['peftlab_peak_rss']} / {mb['pytorch_peak_rss']}, {mb['pytorch_import_rss']} after import",
            f"**{r['rss_ratio']:.2f}**", f"{r['attn']}, AdamW {r['adamw']}"]


def line(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def append(path, r):
    """One line; a new file gets a head. An old one's head decides the columns."""
    stored = dict(r, time=datetime.datetime.now().isoformat(timespec="seconds"), cpu=cpu(), load=os.getloadavg()[0])
    names = sorted(set(stored) | {"peft_version", "mkl_version", "onednn_version"})
    if os.path.exists(path) and os.path.getsize(path):
        with open(path, newline="") as f:
            names = next(csv.reader(f))
    with open(path, "a", newline="") as f:
        out = csv.DictWriter(f, names, restval="", extrasaction="ignore")
        if not f.tell():
            out.writeheader()
        out.writerow(stored)


def cpu():
    with open("/proc/cpuinfo") as f:
        return next((x.split(":", 1)[1].strip() for x in f if x.startswith("model name")), "unknown CPU")


def version_of(package):
    from importlib.metadata import PackageNotFoundError, version
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def head(a):
    packages = ", ".join(version_of(p) for p in ("torch", "transformers", "peft"))
    print(f"{cpu()}, {a.threads} threads, load average {os.getloadavg()[0]:.2f}; {packages}\n")
    line(COLUMNS)
    line(["---"] * len(COLUMNS))


def foot(rows):
    libraries = sorted({f"{k[:-8]} {r[k]}" for r in rows for k in r if k.endswith("_version")})
    slowest = max(max(r["peftlab_settled"], r["pytorch_settled"]) for r in rows)
    print(f"\nPyTorch's process: {', '.join(libraries)}. SGEMM, GFLOP/s: peftlab's"
          f" {statistics.median(r['peftlab_gflops'] for r in rows):.0f}, PyTorch's"
          f" {statistics.median(r['pytorch_gflops'] for r in rows):.0f}. Longest wait for a side to be idle:"
          f" {1000 * slowest:.0f} ms. Load average at the end {os.getloadavg()[0]:.2f}.")


def main():
    a = arguments()
    rows, failed = [], False
    listed = cases(a)
    check(a, listed)
    attention = Attention(a)
    head(a)
    for case in listed:
        try:
            rows.append(measure(a, listed, attention, *case))
        except Failure as e:
            note(f"{' '.join(case)}: {e}")
            failed = True
            continue
        line(markdown(rows[-1]))
        if a.csv:
            append(a.csv, rows[-1])
    if rows:
        foot(rows)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as e:
        sys.exit(f"bench-pytorch: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
