/*
 * The head alone: pooler and classifier are trained, as in every method, and the encoder is left as it came. A control:
 * what a method gains over it is what changing the encoder gains.
 */
#include "methods/method.h"

static const struct opt options[] = {{0}};

static bool plan(void *self, struct method_env *env, struct err *e)
{
    (void)self, (void)env, (void)e;
    return true;
}

const struct method method_head = {
    .name = "head",
    .title = "Head",
    .paper = "control",
    .help = "trains the head alone",
    .about = "The control of all controls: pooler and classifier are trained, as in every method, and the encoder "
             "stays as it came. What a method gains over this row is what changing the encoder gains.",
    .options = options,
    .plan = plan,
};
