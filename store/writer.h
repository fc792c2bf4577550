/*
 * The one thread that changes the index. It gathers what is waiting (jobs from any thread, and the
 * stream's frames in order), runs it in one LMDB transaction, syncs, and only then reports it done.
 *
 * A failing commit (full disk, I/O) is aborted and the same work tried again with back-off: nothing
 * is lost, rk_writer_fault says what is wrong meanwhile, and submitters wait.
 */
#ifndef RK_STORE_WRITER_H
#define RK_STORE_WRITER_H

#include "store/write.h"

struct rk_writer;

struct rk_writer_job {
	struct rk_writer_job *next; /* the writer's */
	/* On the writer's thread, inside the transaction; may run again if the commit fails. Negative:
	 * abort and try all of it again later. */
	int (*run)(struct rk_writer_job *job, struct rk_write *w);
	/* On the writer's thread, once the transaction is on disk; may free the job. With ok false the
	 * writer is stopping and the job was not done. */
	void (*done)(struct rk_writer_job *job, bool ok);
};

/* The stream: drained in order before the jobs of each transaction. */
struct rk_writer_stream {
	void *context;
	/* Applies what is ready, within reason; *count gets how much. Negative as for jobs. */
	int (*drain)(void *context, struct rk_write *w, size_t *count);
	void (*committed)(void *context); /* what drain applied is on disk: slots may be released */
	void (*aborted)(void *context); /* … is undone: the next drain starts from the same place */
	/* How long to wait, in ms, for more that is to be in the same transaction; 0 or less: not at all.
	 * Asked again at each wake; a job ends the wait. NULL: never. */
	int64_t (*gather)(void *context);
};

int rk_writer_create(struct rk_writer **out, struct rk_store *store)
	__attribute__((warn_unused_result));
/* Runs what is queued, stops the thread, frees. */
void rk_writer_destroy(struct rk_writer *writer);
/* The end is near: from now on work that cannot be written is reported undone instead of tried again,
 * so that nobody who is to be stopped waits for a full disk. */
void rk_writer_give_up(struct rk_writer *writer);
/* Set before the stream's first wake; NULL takes it away (waits until a running drain has ended). */
void rk_writer_set_stream(struct rk_writer *writer, const struct rk_writer_stream *stream);
/* Called on the writer's thread after each commit, before its jobs are reported done; must not submit.
 * 4 at most. Once remove returns the observer is not called any more. */
void rk_writer_add_observer(
	struct rk_writer *writer, void (*committed)(void *context), void *context);
void rk_writer_remove_observer(struct rk_writer *writer, void *context);
/* Something may be ready on the stream. Any thread, cheap. */
void rk_writer_wake(struct rk_writer *writer);

/* Hands a job over; waits while 4,096 are queued. Any thread but the writer's. */
void rk_writer_submit(struct rk_writer *writer, struct rk_writer_job *job);
/* Runs `run` with its context inside a transaction and returns once it is on disk (0), or -ECANCELED
 * when the writer stops first. */
int rk_writer_call(struct rk_writer *writer, int (*run)(void *context, struct rk_write *w),
	void *context) __attribute__((warn_unused_result));
/* rk_store_compact between two transactions. Any thread but the writer's; one at a time, others wait.
 * -ECANCELED: the writer stops. */
int rk_writer_compact(struct rk_writer *writer) __attribute__((warn_unused_result));
/* 0, or the negative errno of the last failed commit while nothing has succeeded since. */
int rk_writer_fault(const struct rk_writer *writer);

#endif
