#!/usr/bin/env python3
"""
The rows of each optimizer step of a run, from the definition of the random streams alone: a second implementation of
Philox4x32-10, of named streams and of the shuffle (base/rng.h, tasks/batching.h), and the input of compare_pytorch.py.

    python tools/batches.py --rows 3668 --batch-size 32 --epochs 1 --seed 42 > batches.txt

Whole training set, no hold-out (select_on: dev).
"""

import argparse
import math

M = 0xFFFFFFFF


def philox(key, counter):
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & M, (p0 >> 32) ^ c3 ^ k1, p0 & M
        k0, k1 = (k0 + 0x9E3779B9) & M, (k1 + 0xBB67AE85) & M
    return c0, c1, c2, c3


class Stream:
    def __init__(self, seed, name):
        h = 0xCBF29CE484222325
        for byte in name.encode():
            h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
        self.key = philox((seed & M, seed >> 32), (h & M, h >> 32, 0, 0))[:2]
        self.block, self.words = 0, []

    def u32(self):
        if not self.words:
            self.words = list(philox(self.key, (self.block & M, self.block >> 32, 0, 0)))
            self.block += 1
        return self.words.pop(0)

    def below(self, n):
        m = self.u32() * n
        if m & M < n:
            while m & M < (1 << 32) % n:
                m = self.u32() * n
        return m >> 32


def shuffled(seed, epoch, n):
    stream, rows = Stream(seed, f"order/{epoch}"), list(range(n))
    for i in range(n, 1, -1):
        j = stream.below(i)
        rows[i - 1], rows[j] = rows[j], rows[i - 1]
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rows", type=int, required=True)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--epochs", type=float, default=1)
    p.add_argument("--seed", type=int, default=42)
    a = p.parse_args()
    per_epoch = -(-a.rows // a.batch_size)
    for step in range(math.ceil(a.epochs * per_epoch)):
        if step % per_epoch == 0:
            rows = shuffled(a.seed, step // per_epoch, a.rows)
        at = step % per_epoch * a.batch_size
        print(*rows[at:at + a.batch_size])


if __name__ == "__main__":
    main()
