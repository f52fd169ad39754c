/* Lengths: see lengths.h. */
#include "harness/bench/lengths.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"

/*
 * The training sets of GLUE (Wang et al. 2019, arXiv:1804.07461), tokenised by BERT's uncased WordPiece vocabulary with
 * [CLS] and [SEP]: the mean of each 32nd of the sorted lengths, rounded so that the mean over all is kept. `glue` is
 * half of each, a short single sentence and a longer pair being what the suite is made of.
 *     mrpc   3,668 pairs,     19 to 103 tokens, mean 53.24
 *     cola   8,551 sentences,  4 to  47 tokens, mean 11.33
 */
static const struct length_mix mixes[] = {
    {"mrpc", {27, 32, 35, 37, 38, 40, 41, 43, 44, 46, 46, 48, 49, 51, 51, 53,
              54, 55, 56, 58, 58, 60, 61, 61, 64, 64, 66, 67, 70, 72, 74, 83}},
    {"cola", {5, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10,
              11, 11, 11, 11, 12, 12, 12, 13, 13, 14, 15, 15, 16, 18, 20, 24}},
    {"glue", {6, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 14, 15, 17, 22,
              30, 36, 38, 42, 46, 46, 50, 52, 55, 57, 59, 61, 64, 66, 72, 78}},
};
enum { N_MIXES = sizeof mixes / sizeof *mixes, LONGEST = 1 << 20 };

bool lengths_parse(struct lengths *l, const char *word, struct err *e)
{
    const char *names[N_MIXES + 1] = {NULL};
    char hint[64];
    long long n;
    *l = (struct lengths){.word = word};
    if (text_to_long(word, &n)) {
        if (n < 2 || n > LONGEST)
            return err_set(e, ERR_INPUT, "range: --seq is %s; a sequence has at least 2 tokens", word);
        l->fixed = (int)n;
        return true;
    }
    for (size_t i = 0; i < N_MIXES; i++) {
        names[i] = mixes[i].name;
        if (strcmp(mixes[i].name, strcmp(word, "mix") == 0 ? "glue" : word) == 0)
            l->mix = &mixes[i];
    }
    return l->mix || err_set(e, ERR_INPUT, "unknown lengths `%s`%s (a number of tokens, mrpc, cola or glue)", word,
                             text_did_you_mean(word, names, hint, sizeof hint));
}

size_t lengths_cycle(const struct lengths *l, size_t batch) { return l->mix ? (127 + batch) / batch : 1; }

void lengths_fill(const struct lengths *l, int32_t *length, size_t n)
{
    struct rng r = rng_stream(42, "bench/lengths");
    for (size_t i = 0; i < n; i++)
        length[i] = l->mix ? l->mix->quantile[(2 * i + 1) * LENGTH_QUANTILES / (2 * n)] : l->fixed;
    if (l->mix)
        rng_shuffle(&r, length, n);
}
