/* See patience.h. */
#include "cli/patience.h"

void rk_patience_note(struct rk_patience *patience, uint64_t count, int64_t now_ms)
{
	if (!patience->begun)
		patience->begun_ms = now_ms;
	if (!patience->begun || count < patience->least) {
		patience->least = count;
		patience->least_ms = now_ms;
	}
	patience->begun = true;
}

bool rk_patience_is_over(const struct rk_patience *patience, int64_t now_ms)
{
	return patience->begun &&
		(now_ms - patience->least_ms >= RK_PATIENCE_STILL_MS ||
			now_ms - patience->begun_ms >= RK_PATIENCE_MOST_MS);
}
