/*
 * What publishing's files share. The caller's thread selects (select.c), has keys set (link.c) and tells (publish.c);
 * each working thread takes one user after the other (user.c), with MongoDB clients and a PDS session of its own, and
 * hands on parcels of what the PDS has said yes to (run.c).
 */
#ifndef RK_PUBLISH_INSIDE_H
#define RK_PUBLISH_INSIDE_H

#include <pthread.h>

#include "account/account.h"
#include "image/pictures.h"
#include "mongo/draft.h"
#include "mongo/publish.h"
#include "publish/listing.h"
#include "publish/publish.h"
#include "records/key.h"

/* A user with documents to publish: a range of the run's ids. */
struct rk_publish_person {
	const struct rk_user *user;
	size_t from, count;
};

struct rk_publish_item {
	struct rk_document document; /* texts in the parcel's arena */
	struct rk_record_key key;
	uint64_t tid; /* of the record to be written; 0: none */
	char rkey[RK_RKEY_MOST + 1], reason[256], words[RK_DRAFT_WORDS_MOST];
	char refusal[RK_DRAFT_REASON_MOST]; /* why there is no record to be written */
	struct rk_account_write write;      /* under way */
	struct rk_picture picture; /* of run->pictures; url: in the parcel's arena, NULL: none */
	bool settled;              /* outcome holds */
	enum rk_publish_outcome outcome;
};

/* Handed from a working thread to the caller's. */
struct rk_publish_parcel {
	struct rk_publish_parcel *next;
	const struct rk_publish_person *person;
	struct rk_arena arena;
	struct rk_publish_item *items;
	size_t count;
	int64_t waiting_ms; /* no items: it begins to wait */
};

struct rk_publish_run {
	struct rk_store *store;
	const struct rk_publish_options *options;
	const struct rk_publish_request *request;
	const struct rk_collection *collection;
	struct rk_pictures *pictures;       /* NULL: no images are wanted */
	struct rk_buf program;              /* for thumbnails */
	struct rk_publish_summary *summary; /* the caller's thread alone */
	const struct rk_users *users;
	struct rk_users users_read; /* unless they were given */
	struct rk_oid *ids;
	struct rk_publish_person *persons;
	size_t id_count, person_count;
	uint64_t hopeless, told; /* lines of documents that can never be published; lines by now */
	uint64_t left_out;       /* documents of users of whom none is published: told of in one */
	uint64_t passed;         /* of those of others: they took no place of the limit */
	atomic_bool cancel;      /* ends requests under way */

	pthread_mutex_t lock;
	pthread_cond_t filled, emptied, logged_in;
	struct rk_publish_parcel *first, **last;
	size_t queued; /* items */
	size_t next;   /* person */
	size_t working;
	size_t logins, logins_most; /* under way, where there are pictures */
	uint64_t left;              /* of the limit */
	uint64_t put_off;
	unsigned unreached; /* users over whom the PDS failed, in a row */
	bool given_up;      /* one of them; error says why */
	bool limited;
	int failure; /* the first that ends the run */
	char error[256];
};

enum { RK_PUBLISH_QUEUE_MOST = 4000 };

static inline bool rk_publish_is_one_by_one(const struct rk_publish_request *request)
{
	return request->delay_ms || request->limit;
}

bool rk_publish_stopping(struct rk_publish_run *run);
/* Ends the run with a result; the first one counts. */
void rk_publish_fail(struct rk_publish_run *run, int result, const char *error);
/* Takes over the parcel; waits while the queue is full. */
void rk_publish_hand_on(struct rk_publish_run *run, struct rk_publish_parcel *parcel);
void rk_publish_parcel_destroy(struct rk_publish_parcel *parcel);
/* How many of so many the limit still allows; what is not used is given back. */
size_t rk_publish_allow(struct rk_publish_run *run, size_t count);
void rk_publish_give_back(struct rk_publish_run *run, size_t count);
/* How many documents there will be lines of, or were told of together, as far as is known. The caller's thread. */
uint64_t rk_publish_lines(const struct rk_publish_run *run);

/* Who has what to publish: the run's users, persons and ids (select.c). Tells of what never can be. 0, or a result
 * of the run. */
int rk_publish_select(struct rk_publish_run *run, struct rk_mongo *mongo)
	__attribute__((warn_unused_result));

/*
 * Documents read ahead, and what is to be written of them, on a thread of their own: one batch at a time
 * (read.c). Zeroed but for run: none.
 */
struct rk_publish_reading {
	struct rk_publish_run *run;
	struct rk_mongo
		*mongo; /* the thread's alone while begun; the caller's to destroy at the end */
	const struct rk_publish_person *person;
	const struct rk_oid *ids;
	size_t count;
	struct rk_publish_parcel *parcel;
	int result;
	int64_t at_ms; /* monotonic: when it began */
	bool begun, threaded;
	pthread_t thread;
};
void rk_publish_read_begin(struct rk_publish_reading *reading,
	const struct rk_publish_person *person, const struct rk_oid *ids, size_t count);
/* Waits for it. 0 and the parcel: its items are settled where the document says so, and have else a record
 * or a refusal; -EIO (rk_mongo_error of reading->mongo), -ENOMEM. */
int rk_publish_read_end(struct rk_publish_reading *reading, struct rk_publish_parcel **parcel)
	__attribute__((warn_unused_result));
/* Settles items that were to be published and are not any more. 0, -EIO (rk_mongo_error of mongo), -ENOMEM. */
int rk_publish_read_again(struct rk_publish_run *run, struct rk_mongo *mongo,
	struct rk_publish_parcel *parcel) __attribute__((warn_unused_result));
/* Whatever was begun is not wanted. */
void rk_publish_read_drop(struct rk_publish_reading *reading);

/* Whether a settled item counts for the limit: what failed, or was passed over, does not. */
bool rk_publish_took_place(const struct rk_publish_item *item);
void rk_publish_settle(
	struct rk_publish_item *item, enum rk_publish_outcome outcome, const char *reason);

/* What a user's repo has, by the index (known.c). True, while the repo is at that commit: none of the
 * user's documents, then. False: it is to be listed. */
bool rk_publish_known(const struct rk_publish_run *run, struct rk_snapshot *snapshot,
	struct rk_listing *out, struct rk_cid *commit, const struct rk_publish_person *person)
	__attribute__((warn_unused_result));
/* It was listed: if the index has the same, it may be asked next time. */
void rk_publish_compare(const struct rk_publish_run *run, struct rk_snapshot *snapshot,
	const struct rk_listing *listed, const struct rk_publish_person *person);

/* Thumbnails (thumbnails.c). begin: where the run wants them; 0 or negative, then the run's error
 * says why. url: where an image is fetched, "" of no memory. */
int rk_publish_thumbnails_begin(struct rk_publish_run *run) __attribute__((warn_unused_result));
void rk_publish_thumbnails_end(struct rk_publish_run *run);
struct rk_slice rk_publish_thumbnail_url(
	const struct rk_publish_run *run, struct rk_arena *arena, const char *image);
/* The thumbnail of parcel's item at, uploaded and put into its record; those of the next ones are asked
 * for meanwhile. Settles it where there is none. 0; RK_ACCOUNT_PUT_OFF; negative: the run ends; else a
 * result of the account. */
int rk_publish_thumbnail(struct rk_publish_run *run, struct rk_account_client *account,
	struct rk_publish_parcel *parcel, size_t at) __attribute__((warn_unused_result));
/* Frees what the parcel's pictures have. */
void rk_publish_thumbnails_drop(struct rk_publish_run *run, struct rk_publish_parcel *parcel);

/* Of a working thread: until no user is left, or the run ends. */
void *rk_publish_work(void *run);

/* Sets atproto.rkey in the documents of parcels, and settles what did not match. -EHOSTUNREACH. */
int rk_publish_link(struct rk_publish_run *run, struct rk_mongo *mongo,
	struct rk_publish_parcel *parcels) __attribute__((warn_unused_result));

#endif
