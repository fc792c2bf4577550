/* See metrics.h. The values are the one mutable global of the program: counters without an owner. */
#include "base/metrics.h"

#include <stdatomic.h>

const struct rk_metric_row rk_metric_rows[RK_METRIC_COUNT] = {
#define ROW(id, k, n, h) [RK_METRIC_##id] = {.name = n, .help = h, .kind = RK_METRIC_KIND_##k},
	RK_METRICS(ROW)
#undef ROW
};

static atomic_int_least64_t values[RK_METRIC_COUNT];
static atomic_int_least64_t refused[RK_METRIC_REASONS_MOST];

void rk_metric_add(enum rk_metric metric, int64_t by)
{
	atomic_fetch_add_explicit(&values[metric], by, memory_order_relaxed);
}

void rk_metric_set(enum rk_metric metric, int64_t value)
{
	atomic_store_explicit(&values[metric], value, memory_order_relaxed);
}

int64_t rk_metric_get(enum rk_metric metric)
{
	return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

void rk_metric_refused_add(unsigned reason)
{
	atomic_fetch_add_explicit(&refused[reason], 1, memory_order_relaxed);
}

int64_t rk_metric_refused_get(unsigned reason)
{
	return atomic_load_explicit(&refused[reason], memory_order_relaxed);
}
