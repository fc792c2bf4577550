/*
 * The dual write: publishing that goes on. Documents of a collection are asked for again and again by
 * what they are, never from a place where it stopped: living ones without a key are published
 * (publish.h), records of those that are gone are deleted on the PDS and their key removed. So a
 * document that comes back to life is published again, and nothing is lost by a crash anywhere.
 *
 * What the index has pending work for is left to recovery; what fails is tried again for ever, later and
 * later, and holds up nobody else.
 */
#ifndef RK_PUBLISH_WATCH_H
#define RK_PUBLISH_WATCH_H

#include "publish/publish.h"
#include "store/writer.h"

/* As of the last look; any thread. */
struct rk_watch_figures {
	atomic_ullong waiting; /* documents to be published, or whose record is to be deleted */
	atomic_ullong failing; /* of those, the ones that failed and are tried again */
};

struct rk_watch_request {
	enum rk_collection_id collection;
	const char *const *users; /* as rk_recover_request */
	const char *const *skip;
	uint64_t batch_size, delay_ms; /* as rk_publish_request */
	bool guests, skip_blobs;
	bool at_once; /* else documents younger than a minute are left to a site that writes both itself */
	/* Whether the index is as the PDS is, where this process keeps it so: while it is not, nothing is
	 * done. NULL: nobody keeps it. */
	bool (*ready)(void *context);
	/* Around whatever is written: false, somebody else is publishing. NULL is fine. */
	bool (*begin)(void *context);
	void (*end)(void *context);
	/* Of each document; rkey is that of the record written or deleted. NULL is fine. */
	void (*line)(void *context, const struct rk_publish_line *line, bool deleted);
	bool lines_say; /* what a line says is not logged too: both go to the same reader */
	void *context;
	struct rk_watch_figures *figures;
	const atomic_bool *stop;
};

struct rk_watch_summary {
	uint64_t counts[RK_PUBLISH_OUTCOME_COUNT]; /* FAILED: tries that failed */
	uint64_t deleted;
	uint64_t failing; /* as of the last look */
	char error[256];
};

/* Until stop is set; MongoDB and the PDS may come and go. 0; -ENOENT: a user is not known (error says
 * which); or negative, with which it could not begin. */
int rk_publish_watch(struct rk_store *store, struct rk_writer *writer, struct rk_watch_summary *out,
	const struct rk_publish_options *options, const struct rk_watch_request *request)
	__attribute__((warn_unused_result));

#endif
