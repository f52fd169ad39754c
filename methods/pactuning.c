/*
 * PAC-tuning: fine-tuning in two stages with noise on every trained weight. Stage 1 minimises a PAC-Bayes bound and so
 * learns how much noise each weight bears; stage 2 is perturbed gradient descent with that noise.
 *
 *     each step:  tau ~ N(0, 1) clipped to +-2;  g = dL/dw at w + e^p tau;  w back;  w -= Opt(g)
 *     stage 1 adds the bound R of pac_bayes.h:  g += dR/dw,  g_p = g tau e^p + dR/dp,  g_b = dR/db;  p, b -= Adam
 *
 * with p, the logarithm of a weight's noise, and b, that of the prior's in its tensor, starting at 2 ln mean |w0| in
 * the encoder and at ln mean |w0| in the head. K(lambda) in R is measured before training: at eight noise levels, the
 * losses of ten models w0 + lambda N(0, 1).
 *
 * Source: Liu, Xue, Zhang, Johnson, Wang 2023, "PAC-tuning: Fine-tuning Pretrained Language Models with PAC-driven
 * Perturbed Gradient Descent", arXiv:2310.17588, and the published code, which states what the abstract leaves open.
 * Differs from the code:
 *
 *   - K is interpolated rightly and solved for exactly. (Code: slopes wrong from the third segment on, and a search in
 *     steps of 1.1; compat: reference.)
 *   - weights come back from a copy, bit for bit. (Code: the noise is subtracted again, which leaves rounding.)
 *   - noise is made again where it is needed, from its place and step; the code stores it.
 *   - the head is the harness's: pooler and classifier. (Code: one linear layer.)
 *   - per optimizer step one draw of noise, whatever the micro-batches.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "methods/method.h"
#include "methods/pac_tensor.h"
#include "methods/schedule.h"
#include "methods/target.h"

enum compat { COMPAT_PAPER, COMPAT_REFERENCE };
enum { K_MODELS = 10 };

struct pactuning {
    struct opt_strings target_modules;
    double stage1_ratio;
    long long stage1_steps;
    double gamma_min, gamma_max;
    long long k_examples;
    double noise_learning_rate, head_noise_learning_rate;
    int compat;
    struct pac_tensor *tensor; /* [n] encoder first */
    size_t n;
    struct pac_curve curve;
    struct pac_bound bound; /* of the last step in stage 1 */
};

#define AT(member) offsetof(struct pactuning, member)

static const struct opt options[] = {
    {.name = "target_modules", .type = OPT_STRINGS, .offset = AT(target_modules), .words = "layer.*",
     .help = "what is trained, with noise: module names, globs, all-linear or all"},
    {.name = "stage1_ratio", .type = OPT_REAL, .offset = AT(stage1_ratio), .dflt = 0.8, .min = 0, .max = 1,
     .help = "share of the steps that learn the noise; the others keep it"},
    {.name = "stage1_steps", .type = OPT_INT, .offset = AT(stage1_steps), .dflt = -1, .min = 0, .max = INFINITY,
     .nullable = true, .help = "the same in steps, in place of stage1_ratio"},
    {.name = "gamma_min", .type = OPT_REAL, .offset = AT(gamma_min), .dflt = 10, .min = 0, .max = INFINITY,
     .open_min = true, .help = "least gamma of the bound"},
    {.name = "gamma_max", .type = OPT_REAL, .offset = AT(gamma_max), .dflt = 10, .min = 0, .max = INFINITY,
     .open_min = true, .help = "largest gamma of the bound; the paper's runs keep it at gamma_min"},
    {.name = "k_examples", .type = OPT_INT, .offset = AT(k_examples), .dflt = 100, .min = 1, .max = 1e9,
     .help = "training examples on which K is measured, 80 times, before training"},
    {.name = "noise_learning_rate", .type = OPT_REAL, .offset = AT(noise_learning_rate), .dflt = 0.1, .min = 0,
     .max = INFINITY, .help = "Adam's rate for p and b of the encoder"},
    {.name = "head_noise_learning_rate", .type = OPT_REAL, .offset = AT(head_noise_learning_rate), .dflt = 0.5,
     .min = 0, .max = INFINITY, .help = "the same of the head, at first: x 0.9 every 10 steps, down to 0.01"},
    {.name = "compat", .type = OPT_ENUM, .offset = AT(compat), .dflt = COMPAT_PAPER, .words = "paper|reference",
     .help = "K as the bound has it, or found and interpolated as in the published code"},
    {0},
};

/* -------------------------------------------------------------------------------------------------------------------
 * What is trained */

static bool check_range(const struct pactuning *s, const struct method_env *env, struct err *e)
{
    const char *option = yaml_get(env->at, "gamma_max") ? "gamma_max" : "gamma_min";
    return s->gamma_min <= s->gamma_max ||
           method_wrong(env, option, e, "gamma_min is %g; it must not lie above gamma_max (%g)", s->gamma_min,
                        s->gamma_max);
}

static void take(struct pactuning *s, struct param *p)
{
    s->tensor[s->n++] = (struct pac_tensor){.param = p, .n = param_size(p)};
}

/* The head is requested already, by whom it belongs to; here it only gets its noise. */
static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct pactuning *s = self;
    struct param_list *params = &env->model->params;
    struct param **target;
    size_t n;
    TRY(check_range(s, env, e));
    TRY(target_params(env->model, &s->target_modules, env->at, env->arena, &target, &n, e));
    TRY(s->tensor = ARENA_NEW(env->arena, MEM_METHOD, struct pac_tensor, params->n, e));
    s->n = 0;
    for (size_t i = 0; i < n; i++) {
        param_request(target[i], GRAD_DENSE, 0, 0);
        take(s, target[i]);
    }
    for (size_t i = 0; i < params->n; i++)
        if (params->item[i]->head && params->item[i]->grad.form == GRAD_DENSE)
            take(s, params->item[i]);
    return true;
}

static void bytes(const void *self, const struct method_env *env, size_t bytes[MEM_TAGS])
{
    const struct pactuning *s = self;
    (void)env;
    for (size_t i = 0; i < s->n; i++)
        bytes[MEM_METHOD] += 5 * mem_round(s->tensor[i].n * sizeof(real));
}

/* ln mean |w0| of encoder or head; of a part that is all zero as if it were 1e-4. */
static double log_mean(const struct pactuning *s, bool head)
{
    double sum = 0, n = 0;
    for (const struct pac_tensor *t = s->tensor; t < s->tensor + s->n; t++)
        for (size_t i = 0; t->param->head == head && i < t->n; i++, n++)
            sum += fabs((double)t->w0[i]);
    return log(n && sum / n > 1e-4 ? sum / n : 1e-4);
}

static bool attach(void *self, struct method_env *env, struct err *e)
{
    struct pactuning *s = self;
    for (struct pac_tensor *t = s->tensor; t < s->tensor + s->n; t++) {
        real **array[] = {&t->w0, &t->w, &t->p, &t->m, &t->v};
        for (size_t i = 0; i < sizeof array / sizeof *array; i++)
            TRY(*array[i] = ARENA_NEW(env->arena, MEM_METHOD, real, t->n, e));
        memcpy(t->w0, t->param->w, t->n * sizeof(real));
    }
    const double start[] = {2 * log_mean(s, false), log_mean(s, true)};
    for (struct pac_tensor *t = s->tensor; t < s->tensor + s->n; t++) {
        t->b[0] = start[t->param->head];
        for (size_t i = 0; i < t->n; i++)
            t->p[i] = (real)t->b[0];
    }
    return true;
}

/* -------------------------------------------------------------------------------------------------------------------
 * K, before training */

static void select_bytes(const void *self, const struct method_env *env, struct select_plan *plan)
{
    const struct pactuning *s = self;
    (void)env;
    plan->forward = true;
    plan->bytes[MEM_SCRATCH] += mem_round(K_MODELS * (size_t)s->k_examples * sizeof(double));
}

/* Losses of the first `n` training examples at the present weights. */
static bool first_losses(struct probe *probe, size_t n, double *loss, struct err *e)
{
    size_t have;
    double mean; /* not asked for */
    for (long number = 0; n > 0; number++, n -= have, loss += have) {
        struct probe_batch b = {.number = number, .losses = loss};
        b.rows = probe->examples(probe, number, &b.n);
        b.n = have = b.n < n ? b.n : n;
        TRY(probe->loss(probe, &b, &mean, e));
    }
    return true;
}

static bool measure_knot(struct pactuning *s, struct method_env *env, int knot, size_t n, double *loss, struct err *e)
{
    const struct pac_range gamma = {s->gamma_min, s->gamma_max};
    for (int model = 0; model < K_MODELS; model++) {
        for (size_t i = 0; i < s->n; i++)
            pac_perturb_prior(&s->tensor[i], env->seed, s->curve.lambda[knot], (uint32_t)(knot * K_MODELS + model));
        TRY(first_losses(env->probe, n, loss + (size_t)model * n, e));
    }
    for (size_t i = 0; i < K_MODELS * n; i++)
        if (!isfinite(loss[i]))
            return err_set(e, ERR_RUN, "a loss under noise of scale %.3g is not finite", s->curve.lambda[knot]);
    double *k = s->curve.k;
    if (s->compat == COMPAT_REFERENCE)
        k[knot] = pac_searched_k(loss, K_MODELS * n, gamma, knot ? k[knot - 1] : 1e-3);
    else
        k[knot] = pac_smallest_k(loss, K_MODELS * n, gamma);
    return true;
}

/* Noise and losses of all knots; the weights are as before afterwards. */
static bool measure_k(void *self, struct method_env *env, struct err *e)
{
    struct pactuning *s = self;
    struct arena_mark mark = arena_mark(env->arena);
    size_t n = (size_t)s->k_examples < env->train_examples ? (size_t)s->k_examples : env->train_examples;
    double *loss = ARENA_NEW(env->arena, MEM_SCRATCH, double, K_MODELS * n, e);
    TRY(loss);
    s->curve = pac_curve();
    for (int knot = 0; knot < PAC_KNOTS; knot++)
        TRY(measure_knot(s, env, knot, n, loss, e));
    pac_make_monotone(&s->curve);
    for (struct pac_tensor *t = s->tensor; t < s->tensor + s->n; t++)
        memcpy(t->param->w, t->w0, t->n * sizeof(real));
    arena_release(env->arena, mark);
    return true;
}

/* -------------------------------------------------------------------------------------------------------------------
 * Steps */

static bool in_stage_1(const struct pactuning *s, const struct method_env *env)
{
    long share = schedule_warmup_steps(s->stage1_ratio, env->total_steps); /* rounded up */
    return env->step < (s->stage1_steps >= 0 ? (long)s->stage1_steps : share);
}

static double mean_b(const struct pactuning *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += s->tensor[i].b[0];
    return sum / (double)s->n;
}

/* The bound at w, p and b. Returns its derivative by each b through K, which is taken at lambda = exp(mean b). */
static double evaluate_bound(struct pactuning *s, const struct method_env *env)
{
    double kl = 0, slope, lambda = exp(mean_b(s));
    for (struct pac_tensor *t = s->tensor; t < s->tensor + s->n; t++) {
        t->sums = pac_sums(t->param->w, t->w0, t->p, t->n);
        kl += pac_kl(&t->sums, t->b[0]);
    }
    double k = pac_k_at(&s->curve, lambda, s->compat == COMPAT_REFERENCE, &slope);
    s->bound = pac_bound(kl, k, s->n, env->train_examples, (struct pac_range){s->gamma_min, s->gamma_max});
    return s->bound.by_k * slope * lambda / (double)s->n;
}

/* Step `step`, from 0: of the encoder's noise or the head's. */
static struct pac_adam adam_at(const struct pactuning *s, bool head, long step)
{
    double t = (double)step + 1, first = s->head_noise_learning_rate;
    double decayed = fmax(first * pow(0.9, floor(t / 10)), fmin(first, 0.01));
    return (struct pac_adam){.rate = head ? decayed : s->noise_learning_rate,
                             .correct1 = 1 - pow(PAC_BETA1, t),
                             .correct2 = 1 - pow(PAC_BETA2, t)};
}

static bool before_backward(void *self, struct method_env *env, struct err *e)
{
    struct pactuning *s = self;
    (void)e;
    for (size_t i = 0; i < s->n; i++)
        pac_perturb(&s->tensor[i], env->seed, (uint32_t)env->step);
    return true;
}

/* Stage 1's gradients join before clipping: the bound is part of what is minimised. p and b, which nothing clips, move
 * at once, so that their gradient is not stored. */
static bool after_backward(void *self, struct method_env *env, struct err *e)
{
    struct pactuning *s = self;
    (void)e;
    for (size_t i = 0; i < s->n; i++)
        pac_restore(&s->tensor[i]);
    if (!in_stage_1(s, env))
        return true;
    double by_b = evaluate_bound(s, env);
    for (struct pac_tensor *t = s->tensor; t < s->tensor + s->n; t++) {
        struct pac_adam adam = adam_at(s, t->param->head, env->step);
        pac_learn(t, env->seed, (uint32_t)env->step, s->bound.by_kl, by_b, &adam);
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* Mean p of encoder or head. */
static double mean_log_scale(const struct pactuning *s, bool head)
{
    double sum = 0, n = 0;
    for (const struct pac_tensor *t = s->tensor; t < s->tensor + s->n; t++) {
        if (t->param->head != head)
            continue;
        sum += pac_sums(t->w0, t->w0, t->p, t->n).log_scale;
        n += (double)t->n;
    }
    return sum / fmax(n, 1);
}

static void report(void *self, struct method_env *env, struct method_report *r)
{
    const struct pactuning *s = self;
    (void)env;
    r->add(r, "log_noise", mean_log_scale(s, false), "mean of p, the logarithm of the noise, over the encoder");
    r->add(r, "log_noise_head", mean_log_scale(s, true), "the same over the head's weights");
    if (s->bound.gamma <= 0)
        return;
    r->add(r, "pac_kl", s->bound.kl, "divergence of the posterior from the prior, nats, in the last step of stage 1");
    r->add(r, "pac_k", s->bound.k, "K of the bound there");
    r->add(r, "pac_gamma", s->bound.gamma, "gamma of the bound there");
}

static void state(void *self, struct method_env *env,
                  void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u)
{
    struct pactuning *s = self;
    char name[640];
    (void)env;
    tensor(u, "curve", &s->curve, sizeof s->curve);
    tensor(u, "bound", &s->bound, sizeof s->bound);
    for (struct pac_tensor *t = s->tensor; t < s->tensor + s->n; t++) {
        const struct {
            const char *name;
            void *data;
            size_t bytes;
        } shown[] = {{"p", t->p, t->n * sizeof(real)},
                     {"p/exp_avg", t->m, t->n * sizeof(real)},
                     {"p/exp_avg_sq", t->v, t->n * sizeof(real)},
                     {"b", t->b, sizeof t->b}};
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
            snprintf(name, sizeof name, "%s/%s", t->param->name, shown[i].name);
            tensor(u, name, shown[i].data, shown[i].bytes);
        }
    }
}

const struct method method_pactuning = {
    .name = "pactuning",
    .title = "PAC-tuning",
    .paper = "arXiv:2310.17588",
    .help = "learns with a PAC-Bayes bound how much noise each weight bears, then trains under that noise",
    .about =
        "Every weight w outside the embeddings (`target_modules: layer.*`; the head too) has a noise scale e^p, "
        "every tensor a prior N(w0, e^{2b}) around the pretrained values. Each step draws tau ~ N(0, 1), clipped to "
        "±2, takes the gradient g at w + e^p tau and puts the weights back, bit for bit.\n\n"
        "Stage 1, the first `stage1_ratio` of the steps or `stage1_steps`, minimises (10 and 3 n as in the "
        "published code)\n\n"
        "    J = L(w + e^p tau) + 3/2 K² gamma + (KL + 10 + 3 n) / (m gamma)\n"
        "    KL = 1/2 sum over tensors [ e^{-2b} sum (e^{2p} + (w - w0)²) - 2 sum p + 2 b d - d ]\n\n"
        "for m training examples and n tensors of d weights: g_p = g tau e^p + dJ/dKL (e^{2p-2b} - 1), g += dJ/dKL "
        "(w - w0) e^{-2b}; b has the gradient of KL and of K(lambda), lambda = exp(mean b). Adam (betas .9, .999) "
        "moves p and b at `noise_learning_rate`, for the head at `head_noise_learning_rate` x 0.9 every 10 steps "
        "down to 0.01. They start at 2 ln mean |w0| in the encoder and ln mean |w0| in the head. gamma = sqrt(2 (KL "
        "+ 10 + 3 n) / (3 m)) / K is held within `gamma_min` and `gamma_max` (published runs: both 10 for SST-2 and "
        "CoLA, both 5 otherwise). Stage 2 goes on under the noise that was learnt: no bound, p and b stand still.\n\n"
        "K(lambda) bounds the scatter of the loss l of one example about the mean mu: mean exp(gamma (mu - l)) <= "
        "exp(3/2 gamma² K²). It is measured before training from ten perturbed models at each of eight noise levels "
        "exp(-6), ..., exp(-2), on the first `k_examples` training examples (80 forward passes over them, without "
        "dropout), made monotone, and interpolated linearly. With `compat: reference` K is searched for in steps of "
        "1.1 and interpolated as in the published code, whose slopes are wrong from the third segment on: its K at "
        "the eighth level can be nine times too large.\n\n"
        "The paper's setting is few-shot, in `train:` `train_samples: 100, batch_size: 100, max_seq_length: 128, "
        "learning_rate: 5.0e-5, head_learning_rate: 1.0e-2, weight_decay: 1.0e-2, lr_scheduler_type: constant, "
        "max_grad_norm: 0, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0, classifier_dropout: 0`, and 250 "
        "to 300 epochs, 200 to 250 of them stage 1. Both stages train with the run's optimizer and schedule.\n\n"
        "Memory beside full fine-tuning of the same tensors: five numbers a weight (w0, the copy, p, its two "
        "moments); noise is made again from its place and step, not stored.\n\n"
        "Decisions of ours: one draw of noise per optimizer step, however many micro-batches; the bound's gradient "
        "joins g before clipping, that of p and b is not clipped (the code clips nothing); K is the smallest that "
        "satisfies its inequality, exactly; where encoder or head is nearly zero throughout, mean |w0| counts as "
        "1e-4; no schedule acts on p and b but the one above; counts leave out p and b, which the finished model "
        "does not need.",
    .options = options,
    .state_size = sizeof(struct pactuning),
    .plan = plan,
    .bytes = bytes,
    .attach = attach,
    .select_bytes = select_bytes,
    .select = measure_k,
    .before_backward = before_backward,
    .after_backward = after_backward,
    .report = report,
    .state = state,
};
