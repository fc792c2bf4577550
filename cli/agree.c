/* See agree.h. In the request: "settings": {"REFKEY_…": {"value": text, "flag": bool}}. */
#include "cli/agree.h"

#include "cli/setting_value.h"

static json_t *value_json(const struct rk_settings *settings, const struct rk_setting_row *row)
{
	struct rk_buf text = {0};
	json_t *value;

	rk_setting_print(&text, settings, row);
	value = json_stringn(rk_buf_cstr(&text), text.len);
	rk_buf_finish(&text);
	return value;
}

void rk_agree_tell(json_t *request, const struct rk_settings *settings)
{
	json_t *told = json_object();

	for (size_t i = 0; i < rk_setting_count(); i++) {
		const struct rk_setting_row *row = rk_setting_row(i);

		if (settings->from[i] == RK_FROM_DEFAULT || row->scope == RK_SCOPE_OWN)
			continue;
		json_object_set_new(told, row->env,
			json_pack("{s:o, s:b}", "value", value_json(settings, row), "flag",
				settings->from[i] == RK_FROM_FLAG));
	}
	json_object_set_new(request, "settings", told);
}

/* Names the setting, never its value: it may be a secret. */
static void say(const struct rk_operation_run *run, const struct rk_setting_row *row, bool flag,
	const char *operation, bool refused)
{
	struct rk_buf text = {0};

	if (flag)
		rk_buf_printf(&text, "%s (%s)", row->env, row->flag);
	else
		rk_buf_printf(&text, "%s in the environment", row->env);
	rk_buf_add_str(&text, " differs from that of the running serve, ");
	if (refused && flag)
		rk_buf_printf(&text,
			"which carries out `%s` with its own: leave it out, or stop serve first",
			operation);
	else if (refused)
		rk_buf_printf(&text,
			"which carries out `%s` with its own: restart serve with it, or unset it",
			operation);
	else
		rk_buf_add_str(&text, "whose own holds until it is restarted");
	run->emit(run->context,
		json_pack("{s:s, s:s}", "event", refused ? "error" : "note", "message",
			rk_buf_cstr(&text)));
	rk_buf_finish(&text);
}

int rk_agree_check(const struct rk_operation_run *run, const struct rk_operation_row *operation)
{
	const json_t *settings = json_object_get(run->request, "settings");
	int code = 0;

	for (size_t i = 0; i < rk_setting_count(); i++) {
		const struct rk_setting_row *row = rk_setting_row(i);
		const json_t *told = json_object_get(settings, row->env);
		bool flag = json_is_true(json_object_get(told, "flag"));
		bool refused = flag || (operation->mirror && row->scope == RK_SCOPE_MONGO);
		json_t *ours;

		if (!told)
			continue;
		ours = value_json(run->service->settings, row);
		if (!json_equal(ours, json_object_get(told, "value"))) {
			say(run, row, flag, operation->name, refused);
			code = refused ? RK_EXIT_USAGE : code;
		}
		json_decref(ours);
	}
	return code;
}
