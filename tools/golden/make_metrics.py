"""
tests/golden/metrics.json: GLUE's metrics of random predictions, from scikit-learn and scipy.

Run: python tools/golden/make_metrics.py        (the layout is described in README.md)

Regression values are rounded so that Spearman meets ties on both sides.  Constant predictions are there because the
libraries give nan or a warning where GLUE's tables need a number: 0 stands there for the metrics that are undefined
(Matthews, Pearson, Spearman), and `constant` is true.
"""

import json
import os
import warnings

import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from common import GOLDEN


def classification(rng, name, classes, n, agreement, constant=None):
    labels = rng.integers(0, classes, n)
    predictions = np.where(rng.random(n) < agreement, labels, rng.integers(0, classes, n))
    if constant is not None:
        predictions[:] = constant
    metrics = dict(accuracy=accuracy_score(labels, predictions),
                   matthews_correlation=matthews_corrcoef(labels, predictions))
    if classes == 2:
        metrics["f1"] = f1_score(labels, predictions, zero_division=0)
    return dict(name=name, kind="classification", classes=classes,
                labels=labels.tolist(), predictions=predictions.tolist(),
                constant=constant is not None, metrics={k: float(v) for k, v in metrics.items()})


def regression(rng, name, n, digits, noise, slope=1.0, constant=None):
    labels = np.round(rng.uniform(0, 5, n), digits).astype(np.float32)
    predictions = np.round(slope * labels + noise * rng.normal(size=n), digits).astype(np.float32)
    if constant is not None:
        predictions[:] = constant
    a, b = labels.astype(np.float64), predictions.astype(np.float64)
    metrics = dict(pearson=0.0, spearmanr=0.0) if constant is not None else \
        dict(pearson=pearsonr(a, b)[0], spearmanr=spearmanr(a, b)[0])
    return regression_case(name, labels, predictions, metrics, constant is not None)


def regression_case(name, labels, predictions, metrics, constant):
    return dict(name=name, kind="regression", labels=[float(x) for x in labels],
                predictions=[float(x) for x in predictions], constant=constant,
                metrics={k: float(v) for k, v in metrics.items()})


def main():
    rng = np.random.default_rng(3)
    warnings.simplefilter("ignore")
    cases = [
        classification(rng, "binary", 2, 97, 0.6),
        classification(rng, "binary_chance", 2, 50, 0.0),
        classification(rng, "binary_small", 2, 5, 0.7),
        classification(rng, "binary_perfect", 2, 20, 1.0),
        classification(rng, "binary_constant_0", 2, 40, 0.5, constant=0),
        classification(rng, "binary_constant_1", 2, 40, 0.5, constant=1),
        classification(rng, "three", 3, 120, 0.5),
        classification(rng, "three_constant", 3, 30, 0.5, constant=2),
        regression(rng, "stsb_like", 150, 3, 1.0),
        regression(rng, "ties", 80, 0, 1.2),
        regression(rng, "negative", 40, 2, 2.0, slope=-1.0),
        regression(rng, "constant", 25, 2, 1.0, constant=2.5),
    ]
    # Nearly constant: a variance far below the mean squared must not be lost to cancellation.
    a = np.linspace(0, 5, 30).astype(np.float32)
    b = (np.float32(1000.0) + (a + rng.normal(size=30).astype(np.float32)) * np.float32(0.01)).astype(np.float32)
    x, y = a.astype(np.float64), b.astype(np.float64)
    exact = dict(pearson=pearsonr(x, y)[0], spearmanr=spearmanr(x, y)[0])
    cases.append(regression_case("large_offset", a, b, exact, False))
    with open(os.path.join(GOLDEN, "metrics.json"), "w") as f:
        f.write('{"cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")
    for c in cases:
        print(c["name"], c["metrics"], "constant" if c["constant"] else "")


if __name__ == "__main__":
    main()
