/* Learning-rate schedules: see schedule.h. Formulas of transformers' get_*_schedule functions and of
 * PyTorch's StepLR. */
#include "methods/schedule.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

long schedule_warmup_steps(double ratio, long total_steps) { return (long)ceil((double)total_steps * ratio); }

static double at_least_one(long n) { return n > 1 ? (double)n : 1.0; }

/* Share of the steps after the warm-up that lie behind. */
static double progress(const struct schedule *s, long step)
{
    return (double)(step - s->warmup_steps) / at_least_one(s->total_steps - s->warmup_steps);
}

static double polynomial(const struct schedule *s, long step)
{
    double left = step < s->total_steps ? 1 - progress(s, step) : 0;
    return (1 - s->end) * pow(left, s->power) + s->end;
}

double schedule_factor(const struct schedule *s, long step)
{
    if (s->type == SCHEDULE_CONSTANT)
        return 1.0;
    if (step < s->warmup_steps)
        return (double)step / at_least_one(s->warmup_steps);
    switch (s->type) {
    case SCHEDULE_LINEAR: return fmax(0.0, (double)(s->total_steps - step) /
                                               at_least_one(s->total_steps - s->warmup_steps));
    case SCHEDULE_COSINE: return fmax(0.0, 0.5 * (1.0 + cos(PI * progress(s, step))));
    case SCHEDULE_POLYNOMIAL: return polynomial(s, step);
    case SCHEDULE_STEP: return pow(s->gamma, (double)(step / s->step_size));
    default: return 1.0;
    }
}
