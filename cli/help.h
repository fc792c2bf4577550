/* What --help says, and README's reference: loops over the tables. */
#ifndef RK_CLI_HELP_H
#define RK_CLI_HELP_H

#include "cli/command.h"

void rk_help_program(struct rk_buf *out);
void rk_help_command(struct rk_buf *out, const struct rk_command_row *command);

/* Markdown tables of settings and commands, each a block between lines that README.md has too. */
void rk_help_reference(struct rk_buf *out);
/* What such blocks are made of; a cell's text gets its "|" escaped. */
void rk_help_block_begin(struct rk_buf *out, const char *name);
void rk_help_block_end(struct rk_buf *out);
void rk_help_cell(struct rk_buf *out, const char *text);

#endif
