/* A real pretrained encoder against transformers: logits, loss and samples of every gradient
 * (tests/golden/encoder/minilm_l6). It is looked for in $PEFTLAB_DATA/models/all-MiniLM-L6-v2.
 * labels: golden */
#include "tests/models/tiny.h"

#include <math.h>

#include "base/io.h"
#include "models/checkpoint.h"

static struct err e;
static struct tiny t;
static struct safetensors golden;

static void load_encoder(void)
{
    char path[1024];
    struct model_source source;
    struct model_config config;
    struct checkpoint_report report;
    t.arena = test_arena();
    snprintf(path, sizeof path, "%s/models/all-MiniLM-L6-v2", test_data());
    if (!io_is_dir(path)) {
        print_message("skipped: there is no %s\n", path);
        exit(77);
    }
    ASSERT_OK(model_source_open(&source, path, NULL, t.arena, &e), &e);
    ASSERT_OK(model_config_read(&config, &source, t.arena, &e), &e);
    ASSERT_OK(model_build(&t.model, &config, t.arena, &e), &e);
    struct checkpoint *c = checkpoint_open(&source, t.arena, &e);
    ASSERT_OK(c, &e);
    ASSERT_OK(checkpoint_load(c, &t.model, 1, false, t.arena, &report, &e), &e);
}

static const float *golden_values(const char *kind, const char *name, size_t *n)
{
    char key[256];
    snprintf(key, sizeof key, "%s%s%s", kind, *kind ? "." : "", name);
    const struct tensor *v = safetensors_find(&golden, key);
    if (!v)
        fail_msg("no golden %s", key);
    *n = tensor_count(v);
    return v->data;
}

static void compare_gradient(const struct param *p)
{
    size_t n, one, step = param_size(p) / 16 > 1 ? param_size(p) / 16 : 1;
    const float *at = golden_values("grad_at", p->name, &n);
    double largest = *golden_values("grad_max", p->name, &one);
    for (size_t i = 0; i < n; i++)
        ASSERT_NEAR(p->grad.v[i * step], at[i], 1e-3 * largest + 1e-7);
    double sum = 0;
    for (size_t i = 0; i < param_size(p); i++)
        sum += (double)p->grad.v[i] * (double)p->grad.v[i];
    if (!strstr(p->name, "key.bias")) /* its true gradient is zero */
        ASSERT_NEAR(sqrt(sum) / (double)*golden_values("grad_norm", p->name, &one), 1, 1e-3);
}

TEST(logits_loss_and_gradients)
{
    char path[1024];
    size_t n;
    load_encoder();
    snprintf(path, sizeof path, "%s/tests/golden/encoder/minilm_l6.safetensors", PEFTLAB_SOURCE_DIR);
    ASSERT_OK(safetensors_open(&golden, path, t.arena, &e), &e);
    for (size_t i = 0; i < t.model.params.n; i++)
        if (t.model.params.item[i]->head && strstr(t.model.params.item[i]->name, "classifier"))
            tensor_to_real(safetensors_find(&golden, t.model.params.item[i]->name), t.model.params.item[i]->w);
    const struct tensor *ids = safetensors_find(&golden, "input_ids");
    tiny_pack(&t, (int)ids->shape[0], (int)ids->shape[1], ids->data, safetensors_find(&golden, "token_type_ids")->data,
              safetensors_find(&golden, "lengths")->data, safetensors_find(&golden, "labels")->data, NULL);
    tiny_request_all(&t, &e);
    struct workspace_shape shape = {WORKSPACE_STORE, TINY_TOKENS, TINY_SEQS, 128};
    ASSERT_OK(t.ws = workspace_create(&t.model, &shape, t.arena, &e), &e);
    double loss = tiny_step(&t, &e);
    const real *logits = model_forward(&t.model, t.ws, &t.pass);
    const float *want = golden_values("", "logits", &n);
    for (size_t i = 0; i < n; i++)
        ASSERT_NEAR(logits[i], want[i], 1e-4);
    ASSERT_NEAR(loss, *golden_values("", "loss", &n), 1e-4);
    for (size_t i = 0; i < t.model.params.n; i++)
        compare_gradient(t.model.params.item[i]);
}
