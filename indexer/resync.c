/*
 * Fetching a repo whole: who is to be asked, getRepo into a spooled file, verified, handed to
 * difference.c. What becomes of the repo is resync_outcome.c's.
 *
 * What a host sends is bounded before it is believed: by its first bytes, for a commit that is not the
 * account's ends the fetch; by its berth, if it is long (berths.h); and by its share of the memory (share.h).
 *
 * Behind a relay the host is what the DID document names, and may be anybody's: it is left alone while
 * it fails (hosts.h), and asked how the repo stands before it is asked for all of it.
 */
#include "indexer/resync.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/backoff.h"

/* The key held now is read into out. 0 or negative. */
static int verify_options(struct rk_resync *s, struct rk_verify_options *out)
{
	struct rk_signer signer;
	int r = rk_resync_signer_read(s, &signer);

	*out = (struct rk_verify_options){
		.now_ms = rk_clock_wall_ms(),
		.key_needed = true,
		.checker = rk_keys_checker(s->fetcher->keys),
		.key = r ? NULL : signer.key,
	};
	return r;
}

/* Of a table of blocks, the keys of its tree, and records to be written. */
static size_t memory_for(size_t bytes)
{
	size_t keys = bytes / RK_REPO_BLOCK_BYTES * 2 * sizeof(uint64_t);

	return rk_verify_repo_memory(bytes) + keys +
		(bytes < RK_PIECE_BYTES ? bytes : RK_PIECE_BYTES);
}

static void judged_finish(struct rk_resync *s, size_t bytes)
{
	rk_blocks_finish(&s->verified.blocks);
	rk_difference_finish(s);
	rk_share_give(s->fetcher->indexer->memory, memory_for(bytes));
}

/* Under the key held now. With RK_VERDICT_OK it has its share of the memory, and judged_finish must follow. */
static int verify(struct rk_resync *s, struct rk_slice car, struct rk_did did)
{
	struct rk_indexer *indexer = s->fetcher->indexer;
	struct rk_verify_options options;
	int r;

	if (!rk_share_take(indexer->memory, memory_for(car.len), &indexer->stopping))
		return -ECANCELED;
	r = verify_options(s, &options);
	if (r == 0)
		r = rk_verify_repo(&s->verified, car, did, &options, rk_difference_collect, s);
	if (r != RK_VERDICT_OK)
		judged_finish(s, car.len);
	return r;
}

/* The key may have been changed since it was read. */
static bool is_of_the_key(int verdict)
{
	return verdict == RK_VERDICT_SIGNATURE_WRONG || verdict == RK_VERDICT_KEY_UNKNOWN ||
		verdict == RK_VERDICT_KEY_MISSING;
}

static void verified(struct rk_resync *s)
{
	int r = rk_difference_write(s, rk_resync_fetched_run);

	if (r == 0) {
		rk_resync_denied_tell(s);
		rk_metric_add(RK_METRIC_RESYNCS, 1);
		rk_metric_add(RK_METRIC_RECORDS_PUT, (int64_t)s->put);
		rk_metric_add(RK_METRIC_RECORDS_REMOVED, (int64_t)s->removed);
		rk_log(RK_LOG_DEBUG, "resync", "a repo is in", RK_LOG_STR("did", s->copy.did),
			RK_LOG_INT("put", s->put), RK_LOG_INT("removed", s->removed));
	} else if (!atomic_load(&s->fetcher->indexer->stopping)) {
		rk_resync_failed(s, strerror(-r));
	}
}

static void fetched(struct rk_resync *s, int fd, size_t size)
{
	const struct rk_did did = {.text = s->copy.repo.did};
	void *map = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	int r;

	if (map == MAP_FAILED) {
		rk_resync_failed(s, "the fetched repo is empty or cannot be mapped");
		return;
	}
	r = verify(s, rk_slice_make(map, size), did);
	if (is_of_the_key(r)) {
		rk_identity_refresh(s->fetcher, s->copy.did, RK_KEY_TRUST_MS);
		r = verify(s, rk_slice_make(map, size), did);
	}
	if (r > RK_VERDICT_OK)
		rk_metric_refused_add((unsigned)r);
	if (s->error) {
		rk_resync_failed(s, strerror(-s->error));
	} else if (r != RK_VERDICT_OK) {
		rk_resync_failed(s, r > 0 ? rk_verdict_rows[r].help : strerror(-r));
	} else if (s->verified.commit.rev < s->copy.repo.rev &&
		!(s->copy.repo.flags & RK_REPO_RESET)) {
		rk_metric_refused_add(RK_VERDICT_REV_OLDER);
		rk_resync_happened(
			s, RK_REPO_EVENT_FAILED_OLDER, rk_verdict_rows[RK_VERDICT_REV_OLDER].help);
	} else {
		verified(s);
	}
	if (r == RK_VERDICT_OK)
		judged_finish(s, size);
	munmap(map, size);
}

static void start_judge(struct rk_resync *s)
{
	const struct rk_did did = {.text = s->copy.repo.did};
	struct rk_verify_options options;

	s->start_verdict = -EAGAIN;
	if (verify_options(s, &options) == 0)
		s->start_verdict =
			rk_verify_repo_start(rk_slice_make(s->start, s->start_len), did, &options);
}

/* As the repo comes: whether more of it is wanted. */
static bool is_wanted(void *context, struct rk_slice piece, size_t before)
{
	struct rk_resync *s = context;
	size_t len = sizeof(s->start) - s->start_len;

	if (before == 0) {
		s->start_len = 0;
		s->start_verdict = -EAGAIN;
		len = sizeof(s->start);
	}
	if (len > piece.len)
		len = piece.len;
	if (s->start_verdict == -EAGAIN && len) {
		memcpy(s->start + s->start_len, piece.data, len);
		s->start_len += len;
		start_judge(s);
	}
	if (s->start_verdict > RK_VERDICT_OK)
		return false;
	return rk_berths_go_on(
		s->fetcher->indexer->berths, &s->berth, before + piece.len, rk_clock_mono_ms());
}

/* Once more, if a newer key makes good what its first bytes were refused for. */
static int get_repo(struct rk_resync *s, struct rk_pds_reply *reply, struct rk_pds_spool *spool)
{
	struct rk_pds *pds = s->fetcher->pds;
	int r = rk_pds_get_repo(pds, reply, spool, s->host, s->copy.did);

	if (r != -ECONNABORTED || !is_of_the_key(s->start_verdict))
		return r;
	rk_identity_refresh(s->fetcher, s->copy.did, RK_KEY_TRUST_MS);
	start_judge(s);
	return s->start_verdict == RK_VERDICT_OK
		? rk_pds_get_repo(pds, reply, spool, s->host, s->copy.did)
		: r;
}

/* It is long, and others are so already. */
static void wait_for_berth(struct rk_resync *s)
{
	rk_resync_put_off(s, RK_REPO_EVENT_PUT_OFF,
		RK_BERTH_LOOK_MS + rk_backoff_random() % RK_BERTH_LOOK_MS,
		"it takes long, and waits for its turn");
}

/* It was ended before all of it was there. */
static void unwanted(struct rk_resync *s)
{
	if (s->start_verdict > RK_VERDICT_OK) {
		rk_metric_refused_add((unsigned)s->start_verdict);
		rk_resync_failed(s, rk_verdict_rows[s->start_verdict].help);
	} else {
		wait_for_berth(s);
	}
}

static int fetch(struct rk_resync *s, struct rk_pds_reply *reply)
{
	struct rk_indexer *indexer = s->fetcher->indexer;
	struct rk_pds_spool spool = {
		.dir = indexer->options.data_dir,
		.bytes_most = RK_REPO_CAR_MOST,
		.watch = is_wanted,
		.watch_context = s,
	};
	int r = RK_PDS_OK;

	if (!rk_berths_enter(
		    indexer->berths, &s->berth, s->copy.repo.id, s->host, rk_clock_mono_ms())) {
		wait_for_berth(s);
		return r;
	}
	r = get_repo(s, reply, &spool);
	if (r == RK_PDS_OK) {
		fetched(s, spool.fd, spool.size);
		close(spool.fd);
	} else if (r == -ECONNABORTED) {
		unwanted(s);
		r = RK_PDS_OK; /* the host did answer */
	} else {
		rk_resync_not_fetched(s, r, reply);
	}
	rk_berths_leave(indexer->berths, &s->berth, rk_clock_mono_ms());
	return r;
}

/* Whether all that is doubted is settled by knowing the rev: nothing of it is lost or older. */
static bool rev_is_enough(const struct rk_repo *repo)
{
	return repo->rev && !(repo->flags & (RK_REPO_WENT_BACK | RK_REPO_RESET));
}

/* The host is asked, by way of the two calls. Returns the last one's result. */
static int ask(struct rk_resync *s, struct rk_pds_reply *reply)
{
	struct rk_indexer *indexer = s->fetcher->indexer;
	char rev[RK_PDS_REV_SIZE];
	uint64_t tid;
	int r;

	if (indexer->options.relay && rev_is_enough(&s->copy.repo)) {
		r = rk_pds_repo_status(s->fetcher->pds, reply, rev, s->host, s->copy.did);
		if (r == RK_PDS_OK && rk_tid_parse(&tid, rk_slice_str(rev)) &&
			tid == s->copy.repo.rev) {
			if (rk_writer_call(indexer->writer, rk_resync_unchanged_run, s) != 0)
				rk_log(RK_LOG_DEBUG, "resync", "stopped before it was written");
			else
				rk_resync_denied_tell(s);
			return r;
		}
		/* One that does not know the question may still have the repo. */
		if (r != RK_PDS_OK && r != RK_PDS_WRONG) {
			rk_resync_not_fetched(s, r, reply);
			return r;
		}
	}
	return fetch(s, reply);
}

/* Behind a relay, under the rules for hosts. */
static void ask_host(struct rk_resync *s)
{
	struct rk_hosts *hosts = s->fetcher->indexer->hosts;
	struct rk_pds_reply reply = {.retry_after_ms = -1};
	int64_t wait_ms;
	int r;

	if (!rk_fetcher_host(s->fetcher, s->host, s->copy.repo.did)) {
		rk_resync_failed(s, "no DID document that names a PDS");
		return;
	}
	wait_ms = rk_hosts_enter(hosts, s->host, rk_clock_mono_ms());
	if (wait_ms > 0) {
		rk_resync_put_off(s,
			wait_ms > RK_HOST_BUSY_MS ? RK_REPO_EVENT_HOST_FAILING
						  : RK_REPO_EVENT_PUT_OFF,
			wait_ms + rk_backoff_random() % RK_HOST_BUSY_MS,
			wait_ms > RK_HOST_BUSY_MS ? "its host does not answer"
						  : "its host is busy");
		return;
	}
	r = ask(s, &reply);
	rk_hosts_leave(hosts, s->host, r >= 0 && r != RK_PDS_RETRY, reply.retry_after_ms,
		rk_clock_mono_ms());
}

void rk_resync(struct rk_fetcher *fetcher, rk_repo_id id)
{
	struct rk_indexer *indexer = fetcher->indexer;
	struct rk_resync *s = calloc(1, sizeof(*s));
	struct rk_pds_reply reply;
	struct rk_signer signer;
	bool purge;
	int r;

	if (!s)
		return;
	s->fetcher = fetcher;
	if (rk_repo_copy_read(fetcher, &s->copy, id) != 0)
		goto done;
	/* Where an account that is said to be deleted lives must be known as of now, and of after it was said
	 * (apply.c has the document that is held then read again). */
	purge = s->copy.repo.flags & RK_REPO_PURGE;
	rk_identity_refresh(fetcher, s->copy.did, purge ? RK_KEY_TRUST_MS : RK_IDENTITY_FRESH_MS);
	r = rk_resync_signer_read(s, &signer);
	if (r) {
		rk_resync_failed(s, strerror(-r));
	} else if (signer.elsewhere) {
		rk_resync_elsewhere(s);
	} else if (indexer->options.relay) {
		ask_host(s);
	} else {
		snprintf(s->host, sizeof(s->host), "%s", indexer->options.source);
		ask(s, &reply);
	}
done:
	rk_difference_finish(s);
	free(s);
}
