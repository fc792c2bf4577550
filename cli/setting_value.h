/* One setting's value: text to the field of struct rk_settings, and what is accepted, in words. */
#ifndef RK_CLI_SETTING_VALUE_H
#define RK_CLI_SETTING_VALUE_H

#include "cli/settings.h"

enum rk_setting_result { RK_SETTING_OK, RK_SETTING_WRONG };

/* Sets the row's field. RK_SETTING_WRONG: not a value of its kind, the field is as it was. -ENOMEM. */
int rk_setting_set(struct rk_settings *settings, const struct rk_setting_row *row, const char *text)
	__attribute__((warn_unused_result));
/* Whether the text is a value of an on/off setting, and so no argument behind its bare flag. */
bool rk_setting_is_switch_value(const char *text);
/* The field's value as text that sets it again; "" if unset. Secrets too. */
void rk_setting_print(
	struct rk_buf *out, const struct rk_settings *settings, const struct rk_setting_row *row);
/* What may be behind a wrong value as files of settings are written: "; …", or nothing. */
void rk_setting_hint(struct rk_buf *out, const char *text);
/* "a whole number from 1 to 256" */
void rk_setting_accepts(struct rk_buf *out, const struct rk_setting_row *row);
/* The value as a message may show it: quoted, or why not. */
void rk_setting_show(struct rk_buf *out, const struct rk_setting_row *row, const char *text);
/* Text from outside, quoted; hex if it is not UTF-8. */
void rk_setting_quote(struct rk_buf *out, struct rk_slice text);

#endif
