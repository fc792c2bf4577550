/* What `publish` and its watch have in common; for cli/publish.c and cli/watch.c only. */
#ifndef RK_CLI_PUBLISH_INSIDE_H
#define RK_CLI_PUBLISH_INSIDE_H

#include <jansson.h>

#include "cli/settings.h"
#include "publish/publish.h"

/* The texts are the settings'. */
struct rk_publish_options rk_publish_options_of(const struct rk_settings *settings);
/* As a user is named in a line. */
struct rk_slice rk_publish_handle_or_id(const struct rk_user *user);
/* The event "line". The caller's. */
json_t *rk_publish_line_json(const struct rk_publish_line *line);

#endif
