/* Shapes of the buffers of a run: see shape.h. */
#include "harness/shape.h"

#include <limits.h>

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t run_rows_together(const struct run_spec *r, bool unsplit)
{
    size_t rows = (size_t)r->train.batch_size, steps = (size_t)r->train.gradient_accumulation_steps;
    return unsplit ? rows : (rows + steps - 1) / steps;
}

int run_piece_tokens(const struct run_spec *r, bool unsplit)
{
    return unsplit || r->train.micro_batch == MICRO_BATCH_NONE ? 0 : (int)r->train.piece_tokens;
}

struct workspace_shape run_workspace_shape(const struct run_spec *r, bool unsplit, size_t n, int longest, int shortest)
{
    size_t rows = least(run_rows_together(r, unsplit), n), piece = (size_t)run_piece_tokens(r, unsplit);
    size_t most = (size_t)longest, tokens = least(rows * most, INT_MAX);
    if (piece > 0)
        tokens = least(tokens, piece > most ? piece : most);
    size_t seqs = least(rows, tokens / (shortest > 0 ? (size_t)shortest : 1));
    bool again = unsplit || r->train.activation_checkpointing == CHECKPOINTING_LAYER;
    return (struct workspace_shape){.mode = again ? WORKSPACE_CHECKPOINT : WORKSPACE_STORE,
                                    .max_tokens = (int)tokens, .max_seqs = (int)seqs, .max_len = longest};
}
