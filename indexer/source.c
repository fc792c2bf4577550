/* See source.h. */
#include "indexer/source.h"

#include <stdio.h>

#include "atproto/syntax.h"
#include "base/log.h"

int rk_source_public_origin(struct rk_pds *pds, struct rk_pds_reply *reply,
	char out[RK_ORIGIN_MOST], const char *source)
{
	static const struct rk_slice web = RK_SLICE_LIT("did:web:");
	struct rk_buf did = {.limit = RK_DID_MOST};
	char url[RK_ORIGIN_MOST];
	int r = rk_pds_describe_server(pds, reply, &did, source);

	out[0] = '\0';
	if (r == RK_PDS_OK && rk_slice_starts(rk_buf_slice(&did), web)) {
		snprintf(url, sizeof(url), "https://%s", rk_buf_cstr(&did) + web.len);
		/* A port is written %3A; such a PDS is named by its own URL. */
		if (!rk_origin_parse(out, rk_slice_str(url)))
			out[0] = '\0';
	}
	if (r == RK_PDS_OK && !out[0])
		rk_log(RK_LOG_WARN, "firehose",
			"the source's own DID does not tell its public URL: if DID documents do not name it "
			"by REFKEY_PDS_URL, set REFKEY_PDS_PUBLIC_URL",
			RK_LOG_SLICE("did", rk_buf_slice(&did)));
	rk_buf_finish(&did);
	return r;
}
