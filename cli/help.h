/* What --help says, and README's reference: loops over the tables. */
#ifndef RK_CLI_HELP_H
#define RK_CLI_HELP_H

#include "cli/command.h"

void rk_help_program(struct rk_buf *out);
void rk_help_command(struct rk_buf *out, const struct rk_command_row *command);

/* Markdown tables, each between lines that README.md has too. */
void rk_help_reference(struct rk_buf *out);

#endif
