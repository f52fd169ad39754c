/*
 * Named, counter-based random streams on Philox4x32-10 (Salmon et al., SC'11, through Random123). A stream is a key
 * made from (seed, name) and a counter; streams never disturb each other, so that what one method draws cannot move
 * another's batches. `rng_block` is the stateless form for dropout: the same counter gives the same bits anywhere.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng_key {
    uint32_t k[2];
};

struct rng {
    struct rng_key key;
    uint64_t block;    /* next counter                        */
    uint32_t word[4];  /* words of the block being handed out */
    unsigned have;     /* words of it that are left           */
};

/* Key of the stream `name` under `seed`: the name's 64-bit FNV-1a hash mixed with the seed by one Philox call. */
struct rng_key rng_key(uint64_t seed, const char *name);

/* A stream at its beginning. Its whole state is the struct: copying it saves it. */
struct rng rng_stream(uint64_t seed, const char *name);

/* Moves to the word of this number, a multiple of 4, as if those before it had been drawn. */
void rng_seek(struct rng *r, uint64_t word);

/* 32 uniform bits; uniform in [0, 1) with 24 bits; standard normal (Box-Muller, one draw a call); uniform in [0, n), n
 * > 0. */
uint32_t rng_u32(struct rng *r);
float rng_uniform(struct rng *r);
double rng_normal(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n);

/* Fisher-Yates: a uniformly random order of v[0..n). */
void rng_shuffle(struct rng *r, int32_t *v, size_t n);

/* Stateless: four words for a 128-bit counter under a key. */
void rng_block(struct rng_key key, const uint32_t counter[4], uint32_t out[4]);

#endif
