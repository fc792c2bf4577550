/* The dual write: `refkey publish --watch`, and what serve does by REFKEY_PUBLISH. */
#ifndef RK_CLI_WATCH_H
#define RK_CLI_WATCH_H

#include "cli/operation.h"
#include "publish/watch.h"

/* The threads of serve, one for each collection that can be published; where REFKEY_PUBLISH is off there are
 * none, and *out is NULL. 0 or an exit code, after saying on standard error what is wrong. */
struct rk_watch;
int rk_watch_create(struct rk_watch **out, struct rk_service *service)
	__attribute__((warn_unused_result));
/* What is under way is finished, as far as the PDS answers. NULL is fine. */
void rk_watch_destroy(struct rk_watch *watch);

/* `publish` with "watch" in its request. */
int rk_operation_watch(
	const struct rk_operation_run *run, json_t *result, enum rk_collection_id collection);

#endif
