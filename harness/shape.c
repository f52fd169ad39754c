/* Shapes of the buffers of a run: see shape.h. */
#include "harness/shape.h"

#include <limits.h>

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t run_pass_rows(const struct run_spec *r, enum run_pass pass)
{
    size_t rows = (size_t)r->train.batch_size, steps = (size_t)r->train.gradient_accumulation_steps;
    return pass == PASS_TRAIN ? (rows + steps - 1) / steps : rows;
}

int run_piece_tokens(const struct run_spec *r, enum run_pass pass)
{
    bool whole = pass == PASS_PROBE || (pass == PASS_TRAIN && r->train.micro_batch == MICRO_BATCH_NONE);
    return whole ? 0 : (int)r->train.piece_tokens;
}

struct workspace_shape run_workspace_shape(const struct run_spec *r, enum run_pass pass, size_t n, int longest,
                                           int shortest)
{
    static const enum workspace_mode modes[] = {
        [PASS_TRAIN] = WORKSPACE_STORE, [PASS_EVAL] = WORKSPACE_EVAL, [PASS_PROBE] = WORKSPACE_CHECKPOINT};
    size_t rows = least(run_pass_rows(r, pass), n), piece = (size_t)run_piece_tokens(r, pass);
    size_t most = (size_t)longest, tokens = least(rows * most, INT_MAX);
    if (piece > 0)
        tokens = least(tokens, piece > most ? piece : most);
    size_t seqs = least(rows, tokens / (shortest > 0 ? (size_t)shortest : 1));
    return (struct workspace_shape){
        .mode = modes[pass], .max_tokens = (int)tokens, .max_seqs = (int)seqs, .max_len = longest};
}
