/*
 * Learning-rate schedules under transformers' names (lr_scheduler_type), as factors of the peak learning rate. As
 * there, the first step of a warm-up has factor 0, and `constant` ignores the warm-up. After W warm-up steps, with T in
 * all and s = (t - W) / (T - W) behind:
 *
 *     linear      1 - s
 *     cosine      (1 + cos(pi s)) / 2
 *     polynomial  (1 - e) (1 - s)^power + e, where e = lr_end / learning_rate; e from T on
 *     step        gamma^floor(t / step_size): PyTorch's StepLR, whose steps count from the beginning, warm-up included
 *     constant, constant_with_warmup   1
 */
#ifndef METHODS_SCHEDULE_H
#define METHODS_SCHEDULE_H

enum schedule_type { SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_CONSTANT, SCHEDULE_CONSTANT_WITH_WARMUP,
                     SCHEDULE_POLYNOMIAL, SCHEDULE_STEP };

/* Words of an OPT_ENUM row, in the order of enum schedule_type. */
#define SCHEDULE_WORDS "linear|cosine|constant|constant_with_warmup|polynomial|step"

struct schedule {
    enum schedule_type type;
    long warmup_steps, total_steps;
    double end, power;   /* polynomial: factor of the last step, exponent */
    double gamma;        /* step                                          */
    long step_size;      /* step: optimizer steps of one rate, at least 1 */
};

/* Warm-up steps of a warmup_ratio: ceil(ratio * total). */
long schedule_warmup_steps(double ratio, long total_steps);

/* Factor of the peak learning rate in optimizer step `step` (from 0). */
double schedule_factor(const struct schedule *s, long step);

#endif
