/* See publish_inside.h. */
#include "cli/publish_inside.h"

#include <stdlib.h>

#include "cli/event.h"

struct rk_publish_options rk_publish_options_of(const struct rk_settings *settings)
{
	return (struct rk_publish_options){
		.mongo_uri = settings->mongo_uri,
		.database = settings->mongo_db,
		.mongo_batch = settings->mongo_batch,
		.guest_user = settings->guest_user,
		.threads = settings->threads,
		.pds = settings->pds_url,
		.bypass_key = settings->pds_bypass_key,
		.data_dir = settings->data_dir,
		.images = getenv("REFKEY_TEST_IMAGES"),
	};
}

struct rk_slice rk_publish_handle_or_id(const struct rk_user *user)
{
	return user->handle.len ? user->handle : user->id;
}

json_t *rk_publish_line_json(const struct rk_publish_line *line)
{
	return json_pack("{s:s, s:I, s:I, s:o, s:b, s:o, s:o, s:o, s:o, s:s, s:o}", "event", "line",
		"n", (json_int_t)line->n, "total", (json_int_t)line->total, "user",
		rk_event_said_json(rk_publish_handle_or_id(line->user)), "handle",
		line->user->handle.len > 0, "did", rk_event_said_json(line->user->did), "ref",
		rk_event_said_json(rk_slice_str(line->ref)), "rkey",
		rk_event_said_json(rk_slice_str(line->rkey)), "words",
		rk_event_said_json(rk_slice_str(line->words)), "outcome",
		rk_publish_outcome_rows[line->outcome].name, "reason",
		rk_event_said_json(rk_slice_str(line->reason)));
}
