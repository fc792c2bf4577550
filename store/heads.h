/*
 * Which commits repos are at, by what the stream brought since the index was opened; nothing of it is
 * on disk. With the commit, who writes to a repo can have it written only if the repo is still as the index
 * has it (swapCommit of com.atproto.repo.applyWrites), and need not list it first.
 *
 * A tree may hold what no index takes in (a record that cannot be read), so the first word on a collection
 * is a listing's: where the index was seen to have just what the PDS lists, and every change since came by a
 * verified commit that followed from the one before, it still has. Whatever else changes a repo ends that.
 *
 * As many repos as there are places; of two with the same place the last one has it. What is not here
 * is not known, and nothing else follows from it. Any thread.
 */
#ifndef RK_STORE_HEADS_H
#define RK_STORE_HEADS_H

#include "store/store.h"

enum { RK_HEADS = 4096 };

struct rk_heads;

struct rk_heads *rk_heads_create(void);        /* NULL: no memory */
void rk_heads_destroy(struct rk_heads *heads); /* NULL is fine */
/* The store's own. */
struct rk_heads *rk_store_heads(struct rk_store *store);

/* A verified commit made `now` of `before`, the same repo. */
void rk_heads_note(struct rk_heads *heads, const struct rk_repo *before, const struct rk_repo *now,
	const struct rk_cid *commit);
/* Of this collection the index, when the repo was read from it, had all that its PDS listed and nothing else. */
void rk_heads_agree(struct rk_heads *heads, const struct rk_repo *repo, uint8_t collection);
/* The commit at which the repo is what the index has, as it was read. It is given to one only, who writes,
 * so that nobody else tries what can no longer be. False: not known. */
bool rk_heads_take(struct rk_heads *heads, struct rk_cid *commit, const struct rk_repo *repo,
	uint8_t collection) __attribute__((warn_unused_result));

#endif
