/* What the tests of net/pds share: a client, and a server that has one answer. */
#ifndef RK_TESTS_UNIT_NET_PDS_CLIENT_H
#define RK_TESTS_UNIT_NET_PDS_CLIENT_H

#include "tests/unit/test.h"

#include "net/pds.h"
#include "tests/unit/net/server.h"

#define DID "did:plc:ewvi7nxzyoun6zhxrhs64oiz"

/* What a machine that stands still does not reach. */
enum { NEVER_MS = 10 * 60 * 1000 };

/* idle_ms: how long it waits for bytes. */
static inline struct rk_pds *client_of(long idle_ms)
{
	struct rk_pds_options options = {
		.http.allow_private = true, .timeout_ms = NEVER_MS, .idle_ms = idle_ms};
	struct rk_pds *pds = rk_pds_create(&options);

	assert_non_null(pds);
	return pds;
}

static inline struct rk_pds *client(void)
{
	return client_of(NEVER_MS);
}

struct answer {
	const char *status, *extra, *body;
};

static inline void answer_all(struct server_conn *conn, void *user)
{
	const struct answer *a = user;

	while (server_read_request(conn)) {
		if (!server_answer(conn, a->status, a->extra, a->body))
			break;
	}
}

#endif
