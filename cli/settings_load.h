/* Settings from REFKEY_… in the environment and from flags (a flag wins), checked before anything starts. */
#ifndef RK_CLI_SETTINGS_LOAD_H
#define RK_CLI_SETTINGS_LOAD_H

#include "cli/settings.h"

/* Flags as given, by place of their row; NULL: not given. An empty one is as good as unset. */
struct rk_setting_flags {
	const char *values[RK_SETTINGS_MOST];
};

enum rk_settings_result { RK_SETTINGS_OK, RK_SETTINGS_REFUSED };

/*
 * Fills *out, which must be finished whatever the result. environment is "NAME=value" strings ended
 * by NULL; command is the name of the one that will run, for what it requires.
 * RK_SETTINGS_REFUSED: problems got a line for each thing that is wrong, with the setting's name, the
 * value (never of a secret) and what is accepted. -ENOMEM.
 */
int rk_settings_load(struct rk_settings *out, struct rk_buf *problems,
	const char *const *environment, const struct rk_setting_flags *flags, const char *command)
	__attribute__((warn_unused_result));
/* Logs each setting that somebody gave a value and that nothing uses yet. */
void rk_settings_log_unbuilt(const struct rk_settings *settings);
/* Wipes secrets and frees. NULL and zeroed are fine. */
void rk_settings_finish(struct rk_settings *settings);

#endif
