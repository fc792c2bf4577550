/*
 * Berths for fetches that are no short matter. Most repos come in a moment; one of many bytes needs room on the
 * disk, and a slow one a thread. There are a few berths for such, each with room for the largest repo, so that
 * who has one can go on to its end and none waits while holding anything. A fetch that finds none free is ended,
 * and its repo waits for its turn, in order. Behind a relay a host has one at most, and as long a time as it held one
 * it goes behind those that owe less: a few that let theirs last cannot have them all, again and again. In memory
 * only; any thread.
 */
#ifndef RK_INDEXER_BERTHS_H
#define RK_INDEXER_BERTHS_H

#include "atproto/origin.h"
#include "store/types.h"

enum {
	RK_BERTHS = 4,               /* of the fetching threads; each fetch is bounded by itself */
	RK_BERTH_BYTES = 32 << 20,   /* of a fetch without one */
	RK_BERTH_MS = 30 * 1000,     /* … behind a relay */
	RK_BERTHS_QUEUE = 64,        /* repos whose turn is remembered */
	RK_BERTHS_QUEUE_HOST = 8,    /* … of one host, behind a relay */
	RK_BERTHS_DEBTS = 64,        /* hosts whose time is remembered; the smallest is forgotten */
	RK_BERTH_LOOK_MS = 5 * 1000, /* after which who waits is to look again */
	RK_BERTH_TURN_MS = 60 * 1000, /* who did not look for so long has lost its turn */
};

struct rk_berths;

/* A fetch under way; zeroed before. */
struct rk_berth {
	rk_repo_id repo;
	const char *host; /* borrowed until it leaves */
	int64_t begun_ms;
	bool held;
};

struct rk_berths *rk_berths_create(bool relay); /* NULL: no memory */
void rk_berths_destroy(struct rk_berths *berths);

/* Begins a fetch: true, and rk_berths_leave must follow. False: this repo needs a berth, and it is not its
 * turn. Times are monotonic. */
bool rk_berths_enter(struct rk_berths *berths, struct rk_berth *out, rk_repo_id repo,
	const char *host, int64_t now_ms);
/* So many bytes have come in all. False: it is to end; it waits for its turn. */
bool rk_berths_go_on(
	struct rk_berths *berths, struct rk_berth *berth, size_t bytes, int64_t now_ms);
void rk_berths_leave(struct rk_berths *berths, struct rk_berth *berth, int64_t now_ms);

#endif
