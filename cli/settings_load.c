/* From the environment and flags to settings; how one value is read is in setting_value.c. See
 * settings_load.h. */
#include "cli/settings_load.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "cli/setting_value.h"

/* Cores this process may run on. */
static unsigned threads_default(unsigned most)
{
	cpu_set_t set;
	long count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
								  : sysconf(_SC_NPROCESSORS_ONLN);

	return count < 1 ? 1 : (unsigned long)count > most ? most : (unsigned)count;
}

/* Values in the environment by place of their row; names that are no setting become problems. Their
 * values do not: a misspelt name may hold a password. */
static void environment_read(const char *values[RK_SETTINGS_MOST], struct rk_buf *problems,
	const char *const *environment)
{
	struct rk_slice ours = RK_SLICE_LIT("REFKEY_"), tests = RK_SLICE_LIT("REFKEY_TEST_");
	bool unknown = false;

	for (; *environment; environment++) {
		struct rk_slice name = rk_slice_str(*environment);
		const char *equals = strchr(*environment, '=');
		const struct rk_setting_row *row;

		if (!equals)
			continue;
		name.len = (size_t)(equals - *environment);
		if (!rk_slice_starts(name, ours) || rk_slice_starts(name, tests))
			continue;
		row = rk_setting_by_env(name);
		if (row) {
			values[row - rk_setting_row(0)] = equals + 1;
			continue;
		}
		rk_setting_quote(problems, name);
		rk_buf_add_str(problems, " in the environment is not a setting\n");
		unknown = true;
	}
	if (!unknown)
		return;
	rk_buf_add_str(problems, "accepted:");
	for (size_t i = 0; i < rk_setting_count(); i++)
		rk_buf_printf(problems, " %s", rk_setting_row(i)->env);
	rk_buf_add_str(problems, "\n");
}

/* "REFKEY_SOURCE", or "REFKEY_SOURCE (--source)" if it came as a flag. */
static void name_add(struct rk_buf *out, const struct rk_setting_row *row, bool as_flag)
{
	rk_buf_add_str(out, row->env);
	if (as_flag)
		rk_buf_printf(out, " (%s)", row->flag);
}

static void wrong_add(
	struct rk_buf *problems, const struct rk_setting_row *row, const char *value, bool as_flag)
{
	name_add(problems, row, as_flag);
	rk_buf_add_str(problems, " is ");
	rk_setting_show(problems, row, value);
	rk_buf_add_str(problems, "; accepted: ");
	rk_setting_accepts(problems, row);
	rk_setting_hint(problems, value);
	rk_buf_add_str(problems, "\n");
}

/* Rules that join settings. */
static void together_check(struct rk_buf *problems, const struct rk_settings *settings)
{
	const struct rk_setting_row *publish = rk_setting_by_env(rk_slice_str("REFKEY_PUBLISH"));
	const struct rk_setting_row *on_delete =
		rk_setting_by_env(rk_slice_str("REFKEY_ON_DELETE"));

	if (settings->publish == RK_PUBLISH_OFF || settings->on_delete == RK_ON_DELETE_SOFT)
		return;
	rk_buf_printf(problems,
		"%s is \"%s\" and %s is \"%s\"; accepted: with %s %s only %s %s, or what is deleted "
		"on the PDS would be published again\n",
		publish->env, publish->names[settings->publish], on_delete->env,
		on_delete->names[settings->on_delete], publish->env,
		publish->names[settings->publish], on_delete->env,
		on_delete->names[RK_ON_DELETE_SOFT]);
}

int rk_settings_load(struct rk_settings *out, struct rk_buf *problems,
	const char *const *environment, const struct rk_setting_flags *flags, const char *command)
{
	const char *values[RK_SETTINGS_MOST] = {NULL};
	size_t before = problems->len;

	memset(out, 0, sizeof(*out));
	environment_read(values, problems, environment);
	for (size_t i = 0; i < rk_setting_count(); i++) {
		const struct rk_setting_row *row = rk_setting_row(i);
		const char *flag = flags ? flags->values[i] : NULL;
		const char *value = flag ? flag : values[i];
		bool given = value && *value;
		int result = 0;

		out->from[i] = flag ? RK_FROM_FLAG : given ? RK_FROM_ENVIRONMENT : RK_FROM_DEFAULT;
		if (!given)
			value = row->value;
		if (value)
			result = rk_setting_set(out, row, value);
		if (result < 0)
			return result;
		if (result == RK_SETTING_WRONG)
			wrong_add(problems, row, value, flag);
		if (!value && rk_setting_is_required(row, command)) {
			rk_buf_printf(problems,
				"%s (%s) is not set and %s needs it; accepted: ", row->env,
				row->flag, command);
			rk_setting_accepts(problems, row);
			rk_buf_add_str(problems, "\n");
		}
	}
	if (out->threads == 0)
		out->threads =
			threads_default(rk_setting_by_env(rk_slice_str("REFKEY_THREADS"))->most);
	together_check(problems, out);
	if (rk_buf_failed(problems))
		return rk_buf_failed(problems);
	return problems->len > before ? RK_SETTINGS_REFUSED : RK_SETTINGS_OK;
}

void rk_settings_log_unbuilt(const struct rk_settings *settings)
{
	for (size_t i = 0; i < rk_setting_count(); i++) {
		const struct rk_setting_row *row = rk_setting_row(i);
		const char *text;

		if (!row->unbuilt)
			continue;
		memcpy(&text, (const char *)settings + row->offset, sizeof(text));
		if (text)
			rk_log(RK_LOG_WARN, "settings",
				"what this is for is not built yet: no effect",
				RK_LOG_STR("setting", row->env));
	}
}

void rk_settings_finish(struct rk_settings *settings)
{
	if (!settings)
		return;
	for (size_t i = 0; i < rk_setting_count(); i++) {
		const struct rk_setting_row *row = rk_setting_row(i);
		char *text;

		if (!rk_setting_is_secret(row))
			continue;
		memcpy(&text, (char *)settings + row->offset, sizeof(text));
		if (text)
			explicit_bzero(text, strlen(text));
	}
	rk_arena_finish(&settings->arena);
	memset(settings, 0, sizeof(*settings));
}
