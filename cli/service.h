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
#include "publish/watch.h"
#include "store/writer.h"

#define RK_USER_AGENT "refkey/" REFKEY_VERSION

struct rk_service {
	const struct rk_settings *settings;
	bool serving; /* as serve: the MongoDB side does work of its own, and failures go to the log */
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
/* Opens index and writer of a service of which the first two members are set. 0, or an exit code, after saying what
 * is wrong. */
int rk_service_open(struct rk_service *service);
/* Adds the MongoDB side. 0 or an exit code. */
int rk_service_mirror(struct rk_service *service);
/* Says why it does not start: a line on standard error, of the log where that is JSON and the service's. */
void rk_service_failed(const struct rk_service *service, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Closes what is open, in order. */
void rk_service_close(struct rk_service *service);

/* Whether, once since the start, the first sweep was done and every repo in: what is not in the index then is nowhere. */
bool rk_service_was_complete(struct rk_service *service);
/* Why the service is not ready, appended to reasons for people; true if it is. */
bool rk_service_ready(struct rk_service *service, struct rk_buf *reasons);

#endif
