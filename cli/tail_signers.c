/* See tail_signers.h. The table is direct-mapped: who falls on a place that is taken takes it over. */
#include "cli/tail_signers.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/service.h"
#include "indexer/keys.h"
#include "indexer/source.h"
#include "net/backoff.h"

enum {
	PLACES = 16384,
	ANSWER_MS = 10000, /* of a DID document's host */
	FAILED_MS = 2 * 60 * 1000,
	WAIT_FIRST_MS = 200,
	WAIT_MOST_MS = 5000,
};

struct place {
	char *did; /* owned */
	int64_t fetched_ms;
	struct rk_tail_signer signer;
};

struct rk_tail_signers {
	const struct rk_settings *settings;
	const atomic_bool *stop;
	struct rk_pds *pds;
	const char *origins[3]; /* of the source; ended by NULL */
	char public_origin[RK_ORIGIN_MOST];
	struct place *places[PLACES]; /* owned */
};

struct rk_tail_signers *rk_tail_signers_create(
	const struct rk_settings *settings, const atomic_bool *stop)
{
	const struct rk_pds_options options = {
		.http =
			{
				.allow_private = settings->allow_private,
				.trusted = {settings->pds_url, settings->plc_url},
				.cancel = stop,
				.user_agent = RK_USER_AGENT,
			},
		.timeout_ms = ANSWER_MS,
		.idle_ms = ANSWER_MS,
	};
	struct rk_tail_signers *signers = calloc(1, sizeof(*signers));

	if (!signers)
		return NULL;
	signers->settings = settings;
	signers->stop = stop;
	signers->origins[0] = settings->pds_url;
	signers->origins[1] = settings->pds_public_url;
	signers->pds = rk_pds_create(&options);
	if (!signers->pds) {
		free(signers);
		return NULL;
	}
	return signers;
}

static void place_free(struct place *place)
{
	if (place)
		free(place->did);
	free(place);
}

void rk_tail_signers_destroy(struct rk_tail_signers *signers)
{
	if (!signers)
		return;
	for (size_t i = 0; i < PLACES; i++)
		place_free(signers->places[i]);
	rk_pds_destroy(signers->pds);
	free(signers);
}

int rk_tail_signers_home(struct rk_tail_signers *signers)
{
	struct rk_pds_reply reply;
	int r;

	if (signers->origins[1] || signers->settings->source == RK_SOURCE_RELAY)
		return 0;
	r = rk_source_public_origin(
		signers->pds, &reply, signers->public_origin, signers->origins[0]);
	if (signers->public_origin[0])
		signers->origins[1] = signers->public_origin;
	if (r < 0)
		return r;
	if (r != RK_PDS_RETRY)
		return 0;
	rk_log(RK_LOG_WARN, "tail", "the source cannot be asked who it is",
		RK_LOG_STR("reason", reply.message));
	return -EAGAIN;
}

static struct place *place_get(struct rk_tail_signers *signers, struct rk_slice did)
{
	uint64_t hash = 1469598103934665603u; /* FNV-1a */
	struct place **at;

	for (size_t i = 0; i < did.len; i++)
		hash = (hash ^ did.data[i]) * 1099511628211u;
	at = &signers->places[(hash ^ hash >> 32) % PLACES];
	if (*at && rk_slice_equal_str(did, (*at)->did))
		return *at;
	place_free(*at);
	*at = calloc(1, sizeof(**at));
	if (*at)
		(*at)->did = strndup((const char *)did.data, did.len);
	if (!*at || !(*at)->did) {
		place_free(*at);
		*at = NULL;
	}
	return *at;
}

static bool is_stopped(void *context)
{
	const struct rk_tail_signers *signers = context;

	return atomic_load(signers->stop);
}

/* Asks until there is an answer; a did:web whose own host is away is its own trouble. */
static int document_fetch(struct rk_tail_signers *signers, struct rk_pds_reply *reply,
	struct rk_buf *json, const char *did)
{
	struct rk_backoff backoff = {.first_ms = WAIT_FIRST_MS, .most_ms = WAIT_MOST_MS};
	bool plc = strncmp(did, "did:plc:", strlen("did:plc:")) == 0;
	int r;

	for (;;) {
		rk_buf_clear(json);
		r = rk_pds_did_document(signers->pds, reply, json, signers->settings->plc_url, did);
		if (r != RK_PDS_RETRY || !plc)
			return r;
		rk_log(RK_LOG_WARN, "tail", "waiting for the DID directory", RK_LOG_STR("did", did),
			RK_LOG_STR("reason", reply->message));
		rk_clock_pause_unless(
			rk_backoff_next(&backoff, rk_backoff_random()), is_stopped, signers);
		if (atomic_load(signers->stop))
			return -ECANCELED;
	}
}

static int place_fill(struct rk_tail_signers *signers, struct place *place, struct rk_did did)
{
	struct rk_buf json = {.limit = RK_DID_DOC_MOST};
	struct rk_tail_signer found = {0};
	struct rk_pds_reply reply = {0};
	int r = document_fetch(signers, &reply, &json, place->did);

	if (r < 0) {
		rk_buf_finish(&json);
		return r;
	}
	found.known = r == RK_PDS_OK && rk_did_doc_parse(&found.doc, did, rk_buf_slice(&json));
	rk_buf_finish(&json);
	if (found.known) {
		rk_key_ready_make(&found.key, &found.doc.key);
		found.elsewhere = signers->settings->source == RK_SOURCE_PDS &&
			rk_keys_elsewhere(signers->origins, rk_slice_str(found.doc.pds));
	} else {
		rk_log(RK_LOG_WARN, "tail", "a DID document is not to be had",
			RK_LOG_STR("did", place->did),
			RK_LOG_STR("reason", r == RK_PDS_OK ? "it is malformed" : reply.message));
	}
	place->signer = found;
	place->fetched_ms = rk_clock_mono_ms();
	return 0;
}

int rk_tail_signers_find(struct rk_tail_signers *signers, const struct rk_tail_signer **out,
	struct rk_did did, int64_t age_ms)
{
	struct place *place = place_get(signers, did.text);
	int64_t now = rk_clock_mono_ms();
	int r;

	if (!place)
		return -ENOMEM;
	if (place->fetched_ms && !place->signer.known && age_ms > FAILED_MS)
		age_ms = FAILED_MS;
	if (!place->fetched_ms || now - place->fetched_ms > age_ms) {
		r = place_fill(signers, place, did);
		if (r)
			return r;
		now = place->fetched_ms;
	}
	place->signer.age_ms = now - place->fetched_ms;
	*out = &place->signer;
	return 0;
}
