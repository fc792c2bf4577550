/*
 * Memory in which fetched repos are judged, shared by the threads that do it: how much each needs follows from the
 * bytes that came. Who needs more than is left waits, in order of coming, and who needs more than there is has
 * it alone; so the one that came first always goes on, if holders wait for no network.
 */
#ifndef RK_INDEXER_SHARE_H
#define RK_INDEXER_SHARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct rk_share;

struct rk_share *rk_share_create(size_t bytes); /* NULL: no memory */
void rk_share_destroy(struct rk_share *share);

/* True: it is granted, and rk_share_give must follow. False: stop was set meanwhile. */
bool rk_share_take(struct rk_share *share, size_t bytes, const atomic_bool *stop);
/* How many wait now. */
size_t rk_share_waiting(struct rk_share *share);
void rk_share_give(struct rk_share *share, size_t bytes);

#endif
