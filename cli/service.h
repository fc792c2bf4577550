/*
 * The parts of the program that a command needs, opened and closed in the right order: the index, its
 * writer and, where asked for, the MongoDB side. serve adds the stream and the server.
 */
#ifndef RK_CLI_SERVICE_H
#define RK_CLI_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "cli/command.h"
#include "cli/patience.h"
#include "cli/turns.h"
#include "indexer/indexer.h"
#include "mirror/mirror.h"
#include "mirror/publish_watch.h"
#include "store/writer.h"

#define RK_USER_AGENT "refkey/" REFKEY_VERSION

struct rk_service {
	const struct rk_settings *settings;
	struct rk_store *store;
	struct rk_writer *writer;
	/* Set once, while other threads look: NULL where MongoDB is not configured, or outside serve. */
	struct rk_mirror *_Atomic mirror;
	struct rk_indexer *_Atomic indexer;
	atomic_bool stop;                                     /* end what is under way, cleanly */
	struct rk_turns turns;                                /* at writing to the PDS */
	struct rk_watch_figures figures[RK_COLLECTION_COUNT]; /* of the dual write */
	atomic_bool was_complete;
	atomic_ullong desynchronized, unready; /* as of the last commit */
	struct rk_snapshot *counting;          /* of the writer's thread */
	pthread_mutex_t lock;                  /* of what follows */
	struct rk_patience patience;
};

/* Whether the data folder holds an index at all: opening makes one. */
bool rk_service_index_exists(const struct rk_settings *settings);
/* Opens index and writer. 0, or an exit code, after saying on standard error what is wrong. */
int rk_service_open(struct rk_service *service, const struct rk_settings *settings);
/* Adds the MongoDB side, which does its own work only if `working`. 0 or an exit code. */
int rk_service_mirror(struct rk_service *service, bool working);
/* Closes what is open, in order. */
void rk_service_close(struct rk_service *service);

/* Whether, once since the start, the first sweep was done and every repo in: what is not in the index then is nowhere. */
bool rk_service_was_complete(struct rk_service *service);
/* Why the service is not ready, appended to reasons for people; true if it is. */
bool rk_service_ready(struct rk_service *service, struct rk_buf *reasons);

#endif
