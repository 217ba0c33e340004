/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun token: a new token for HTTP. What the file keeps goes to standard output, so that it can
 * be appended there; what its user keeps goes to standard error, and nowhere else. */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "cli/client.h"
#include "model/access.h"

enum { LINE_MAX_BYTES = 1024 * 1024 };

static int check(const struct client *client)
{
	if (client->argument_count == 0)
		return client_complain(client, "a name for the token is missing");
	if (client->argument_count > ACCESS_PROJECTS_MAX + 1)
		return client_complain(client, "there are too many projects");
	for (int i = 0; i < client->argument_count; i++)
		if (!access_is_word(client->arguments[i]) ||
			(i == 0 && strlen(client->arguments[i]) > ACCESS_NAME_MAX))
			return client_complain(client,
				"'%s' has blanks, commas, # or *, or is too long",
				client->arguments[i]);
	return EXIT_DONE;
}

static void write_line(const struct client *client, const char *digest, struct buffer *to)
{
	buffer_print(to, "%s %s %s", client->arguments[0], digest,
		client->argument_count == 1 ? "*" : "");
	for (int i = 1; i < client->argument_count; i++)
		buffer_print(to, "%s%s", i > 1 ? "," : "", client->arguments[i]);
	buffer_write_u8(to, '\0');
}

int command_token(struct client *client)
{
	CLEANUP(buffer_deinit) struct buffer line;
	char token[ACCESS_TOKEN_SIZE], digest[ACCESS_DIGEST_SIZE];
	int status = check(client);

	buffer_init(&line, LINE_MAX_BYTES);
	if (status != EXIT_DONE)
		return status;
	if (access_new_token(token) < 0 || access_digest(token, digest) < 0) {
		fprintf(stderr, "%s: the system gives no random bytes\n", client->program);
		return EXIT_FAILED;
	}
	write_line(client, digest, &line);
	if (buffer_check(&line) < 0)
		return EXIT_FAILED;
	if (client->is_json)
		return client_print_json(
			json_pack("{s:s, s:s}", "token", token, "line", (char *)line.bytes));
	printf("%s\n", (char *)line.bytes);
	fprintf(stderr, "%s\n", token);
	return EXIT_DONE;
}
