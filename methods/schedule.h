/*
 * Learning-rate schedules under transformers' names (lr_scheduler_type), as factors of the peak learning rate. As
 * there, the first step of a warm-up has factor 0, and `constant` ignores the warm-up.
 */
#ifndef METHODS_SCHEDULE_H
#define METHODS_SCHEDULE_H

enum schedule_type { SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_CONSTANT, SCHEDULE_CONSTANT_WITH_WARMUP };

/* Words of an OPT_ENUM row, in the order of enum schedule_type. */
#define SCHEDULE_WORDS "linear|cosine|constant|constant_with_warmup"

struct schedule {
    enum schedule_type type;
    long warmup_steps, total_steps;
};

/* Warm-up steps of a warmup_ratio: ceil(ratio * total). */
long schedule_warmup_steps(double ratio, long total_steps);

/* Factor of the peak learning rate in optimizer step `step` (from 0). */
double schedule_factor(const struct schedule *s, long step);

#endif
