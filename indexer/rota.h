/*
 * Whom a survey asks next: each host's repos one after the other, hosts by turn, so that none waits for
 * another. A host is asked once before it is asked several times at once; one that fails, is slow or has
 * had its time is left for the next survey, whose order within a host is another. One thread at a time.
 */
#ifndef RK_INDEXER_ROTA_H
#define RK_INDEXER_ROTA_H

#include "indexer/hosts.h"
#include "store/types.h"

enum {
	RK_ROTA_HOSTS_MOST = 65536,
	RK_ROTA_HOST_MS =
		60 * 1000, /* from its first turn on: however much it has, it is left then */
};

struct rk_rota;
struct rk_rota_host;

struct rk_rota_turn {
	struct rk_rota_host *host;
	const char *origin; /* while the rota lives */
	rk_repo_id repo;
};

struct rk_rota_sums {
	uint64_t asked;
	uint64_t left;    /* repos of hosts that fail or are slow, and of too many hosts */
	uint64_t overdue; /* repos of hosts that have had their time */
};

struct rk_rota *rk_rota_create(void); /* NULL: no memory */
void rk_rota_destroy(struct rk_rota *rota);
/* 0 or -ENOMEM. Before the first turn. random is any uniform 32-bit value. */
int rk_rota_add(struct rk_rota *rota, const char *origin, rk_repo_id repo, uint32_t random)
	__attribute__((warn_unused_result));

enum rk_rota_result {
	RK_ROTA_TURN,
	RK_ROTA_WAIT, /* nobody just now: ask again after a turn is over, or *wait_ms */
	RK_ROTA_OVER,
};
/* TURN: hosts was entered, rk_rota_end must follow. */
enum rk_rota_result rk_rota_next(struct rk_rota *rota, struct rk_rota_turn *out, int64_t *wait_ms,
	struct rk_hosts *hosts, int64_t now_ms);
/* Leaves hosts (see there for the rest); not good: it is not asked any more. */
void rk_rota_end(struct rk_rota *rota, const struct rk_rota_turn *turn, struct rk_hosts *hosts,
	bool good, int64_t asked_ms, int64_t now_ms);
void rk_rota_sums(const struct rk_rota *rota, struct rk_rota_sums *out);

#endif
