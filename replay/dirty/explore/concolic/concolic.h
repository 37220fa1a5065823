/*
 * What a step's sources, as one unit, and the engine that executes them know of each other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef CONCOLIC_H
#define CONCOLIC_H

#include <stddef.h>
#include <stdint.h>

#define MOST_BLOCKS 8

/* An operation as dirty_run() has it, and what came of it. */
struct event {
    uint64_t kind, a, b;
};

/* Where the machine holds its state now. */
struct parts {
    const unsigned char *bytes;         /* the store as bytes, a page each; or NULL */
    size_t nr_bytes;
    const unsigned long *dirty[3];      /* or as a bitmap for VGA, CODE and MIGRATION */
    size_t nr_dirty[3];                 /* in words, like what follows */
    const unsigned long *bitmap;
    size_t nr_bitmap;
    const unsigned long *tlb[2];        /* notdirty, direct */
    size_t nr_tlb;
    const unsigned long *code[2];       /* has code, ever did */
    size_t nr_code;
    long bitmap_pages;
    size_t tlb_pages, code_pages;
    int logging;
    uint64_t dirty_pages;
    const struct event *events;
    size_t nr_events;
    size_t nr_blocks;
    uint64_t blocks[MOST_BLOCKS][2];    /* first page and pages */
    int sound;                          /* whether all of that fits together */
};

/* What the unit has for the engine. */
void concolic_parts(struct parts *parts);
/* Make what is left out of a state the same everywhere. */
void concolic_level(uint64_t dirty_pages);
/* Whether addresses are found in the right block, whichever was found last. */
int concolic_finds_blocks(void);
/* Whether the eight bytes at @at are in the head of an array, or behind its end. */
int concolic_behind(const void *at);
/* Whether there are only zeroes behind every array. */
int concolic_clean_behind(void);
/* The variables that the engine knows of. */
size_t concolic_known(const void **at, size_t *size, size_t max);
/* Loads and stores of bytes and words, which must all be told of; @at has 64 bytes. */
void concolic_probe(void *at);
unsigned concolic_client(unsigned number);

int dirty_reset(int64_t hpratio, int tcg);
struct result {
    int64_t ret;
    uint32_t status, events;
};

#endif
