/*
 * Whose turn it is to write to the PDS: one command's (a second one is refused, and the turn of a dual
 * write is waited for), or that of dual writes, each of a collection of its own, between commands.
 */
#ifndef RK_CLI_TURNS_H
#define RK_CLI_TURNS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "records/collections.h"

/* Zeroed: nobody's. Any thread. */
struct rk_turns {
	atomic_int now;     /* how many dual writes are at it; negative: a command is */
	atomic_uint asking; /* commands that wait */
	atomic_bool watched[RK_COLLECTION_COUNT];
};

/* 0, -EBUSY: another command is at it, or -ECANCELED by stop. */
int rk_turn_command(struct rk_turns *turns, const atomic_bool *stop)
	__attribute__((warn_unused_result));
void rk_turn_command_end(struct rk_turns *turns);

/* For a dual write: false, a command is at it or waits to be. */
bool rk_turn_watch(struct rk_turns *turns);
void rk_turn_watch_end(struct rk_turns *turns);

/* One dual write of a collection at a time: false, there is one. */
bool rk_turns_watch(struct rk_turns *turns, enum rk_collection_id collection);
void rk_turns_unwatch(struct rk_turns *turns, enum rk_collection_id collection);

#endif
