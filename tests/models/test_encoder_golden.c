/* Logits, losses and every gradient of small BERTs against transformers (tests/golden/encoder).
 * labels: golden */
#include "tests/models/tiny.h"

#include <math.h>

static struct err e;

static void load(struct tiny *t, struct safetensors *golden, const char *name)
{
    char path[512];
    struct model_source source;
    struct model_config config;
    struct safetensors weights;
    t->arena = test_arena();
    snprintf(path, sizeof path, "%s/tests/golden/encoder/%s", PEFTLAB_SOURCE_DIR, name);
    ASSERT_OK(model_source_open(&source, arena_strdup(t->arena, path, &e), NULL, t->arena, &e), &e);
    ASSERT_OK(model_config_read(&config, &source, t->arena, &e), &e);
    snprintf(path, sizeof path, "%s/golden.safetensors", source.dir);
    ASSERT_OK(safetensors_open(golden, path, t->arena, &e), &e);
    config.num_labels = (int)safetensors_find(golden, "logits")->shape[1];
    ASSERT_OK(model_build(&t->model, &config, t->arena, &e), &e);
    tiny_weights(t, &e);
    snprintf(path, sizeof path, "%s/model.safetensors", source.dir);
    ASSERT_OK(safetensors_open(&weights, path, t->arena, &e), &e);
    for (size_t i = 0; i < t->model.params.n; i++) {
        struct param *p = t->model.params.item[i];
        const struct tensor *w = safetensors_find(&weights, p->name);
        if (!w)
            fail_msg("%s has no %s", path, p->name);
        assert_int_equal(tensor_count(w), param_size(p));
        tensor_to_real(w, p->w);
    }
    const struct tensor *ids = safetensors_find(golden, "input_ids"), *labels = safetensors_find(golden, "labels");
    bool classes = labels->type == TENSOR_I32;
    tiny_pack(t, (int)ids->shape[0], (int)ids->shape[1], ids->data, safetensors_find(golden, "token_type_ids")->data,
              safetensors_find(golden, "lengths")->data, classes ? labels->data : NULL, classes ? NULL : labels->data);
}

static void compare_gradient(const struct safetensors *golden, const struct param *p)
{
    char name[256];
    snprintf(name, sizeof name, "grad.%s", p->name);
    const struct tensor *t = safetensors_find(golden, name);
    if (!t)
        fail_msg("no golden gradient of %s", p->name);
    const float *want = t->data;
    double largest = 0, worst = 0;
    for (size_t i = 0; i < param_size(p); i++) {
        largest = fmax(largest, fabs((double)want[i]));
        worst = fmax(worst, fabs((double)want[i] - (double)p->grad.v[i]));
    }
    /* key.bias has a true gradient of zero: rounding is all there is to compare. */
    if (worst > 1e-4 * largest + 1e-6)
        fail_msg("%s: gradient differs by %.3g, largest %.3g", p->name, worst, largest);
}

static void check(const char *name, enum workspace_mode mode)
{
    static struct tiny t;
    struct safetensors golden;
    load(&t, &golden, name);
    tiny_request_all(&t, &e);
    tiny_workspace(&t, mode, &e);
    double loss = tiny_step(&t, &e);
    const real *logits = model_forward(&t.model, t.ws, &t.pass);
    const struct tensor *want = safetensors_find(&golden, "logits");
    for (size_t i = 0; i < tensor_count(want); i++)
        ASSERT_NEAR(logits[i], ((const float *)want->data)[i], 1e-5);
    ASSERT_NEAR(loss, *(const float *)safetensors_find(&golden, "loss")->data, 1e-5);
    for (size_t i = 0; i < t.model.params.n; i++)
        compare_gradient(&golden, t.model.params.item[i]);
}

TEST(two_labels) { check("cls2", WORKSPACE_STORE); }
TEST(three_labels) { check("cls3", WORKSPACE_STORE); }
TEST(regression) { check("reg", WORKSPACE_STORE); }
TEST(recomputed_layers) { check("cls3", WORKSPACE_CHECKPOINT); }
