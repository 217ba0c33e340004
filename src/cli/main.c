/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* kanyun, the command line; and, by the name it is called, the specification's api-client. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "model/settings.h"
#include "wire/request.h"

enum {
	OPTIONS_MAX = 64,
	OPTION_JSON = 256,
	OPTION_FROM,
	OPTION_TO,
	OPTION_AT,
	OPTION_PROJECT,
	OPTION_BY,
	OPTION_ALL,
	OPTION_EXPLAIN,
	OPTION_FORCE,
	OPTION_ONCE,
	OPTION_INTERVAL,
	OPTION_HOST,
	OPTION_SORT,
	OPTION_LIMIT,
	OPTION_CSV,
	OPTION_STEP,
	OPTION_PLOT,
	OPTION_CQL,
};

/* Which options a command has besides those that all have. */
enum {
	HAS_WINDOW = 1,
	HAS_PROJECT = 2,
	HAS_USAGE = 4,
	HAS_AT = 8,
	HAS_FORCE = 16,
	HAS_LIVE = 32,
	HAS_TOP = 64,
	HAS_DUMP = 128,
	HAS_COPY = 256
};

static const struct command {
	const char *name, *arguments, *summary;
	unsigned int options;
	command_fn *run;
} commands[] = {
	{ "instances", "[ID]", "List the instances that are metered.", HAS_PROJECT,
		command_instances },
	{ "usage", "[ID [METRIC [PARAMETER]]]",
		"Show how much was used: exact integers, and how well they are known.",
		HAS_WINDOW | HAS_PROJECT | HAS_USAGE, command_usage },
	{ "series", "ID METRIC [PARAMETER]", "Show the samples of a metric as they were read.",
		HAS_WINDOW, command_series },
	{ "dump", "--cql ID",
		"Print an instance's samples as CQL, by the names of the specification.",
		HAS_WINDOW | HAS_DUMP, command_dump },
	{ "traffic", "[ID]...",
		"Show the traffic of each address, outside and inside of the cloud, as it grows.",
		HAS_WINDOW | HAS_PROJECT | HAS_LIVE, command_traffic },
	{ "top", "", "Show what all instances do now, the busiest first.",
		HAS_PROJECT | HAS_LIVE | HAS_TOP, command_top },
	{ "close", "MONTH", "Keep a month's figures for good, with a digest.", HAS_FORCE,
		command_close },
	{ "closed", "[MONTH [ID]]",
		"Show the closed months, one of them, or an instance's figures and adjustments.", 0,
		command_closed },
	{ "workers", "[retire ID]",
		"List the workers and whether they are alive; or give up one that will not come "
		"back.",
		HAS_AT, command_workers },
	{ "status", "", "Show what the server did and holds.", 0, command_status },
	{ "store", "copy --from STORE --to STORE",
		"Copy a store, which no server has open, into another.", HAS_COPY, command_store },
	{ "token", "NAME [PROJECT]...",
		"Make a token for HTTP: the line for the file of tokens, and the token itself.", 0,
		command_token },
	{ "doctor", "", "Look for what is wrong on this host, and say what to do.", 0,
		command_doctor },
};

static const char api_client_help[] =
	"Usage: %s [-c FILE] [-o SECTION.KEY=VALUE] METRIC\n"
	"       %s -l METRIC\n"
	"       %s -k ID\n"
	"       %s ID METRIC [PARAMETER]\n"
	"       %s ID METRIC PARAMETER STATISTIC PERIOD FROM [TO]\n\n"
	"Lists the instances that have a metric; shows the readings of an instance; shows a\n"
	"statistic (sum, max, min, avg, sam, or 0 to 4) over periods of PERIOD minutes. Times are\n"
	"ISO 8601 or seconds since 1970; TO is now if it is 0 or missing. See api-client(1).\n";

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void print_options(unsigned int options)
{
	if (options & HAS_WINDOW)
		printf("      --from TIME           begin of the window; an hour ago if not given\n"
		       "      --to TIME             end of the window; now if not given\n");
	if (options & HAS_PROJECT)
		printf("      --project ID          only instances of this project\n");
	if (options & HAS_USAGE)
		printf("      --all                 every counter, not only the common ones\n"
		       "      --by WORD             split by project, flavor or host\n"
		       "      --step SPAN           split into steps: 60s, 5m, 1h, 1d\n"
		       "      --plot                plot a metric over the window\n"
		       "      --explain             show the samples and subtractions behind each "
		       "number\n");
	if (options & HAS_COPY)
		printf("      --from STORE          sqlite:DIRECTORY or "
		       "cassandra:HOSTS/KEYSPACE\n"
		       "      --to STORE            likewise\n");
	if (options & HAS_DUMP)
		printf("      --cql                 as tables of the specification's column "
		       "families\n");
	if (options & HAS_AT)
		printf("      --at TIME             retire: when its host ended; now if not "
		       "given\n");
	if (options & HAS_FORCE)
		printf("      --force               also figures that may still change\n");
	if (options & HAS_LIVE)
		printf("      --once                show it once, also on a terminal\n"
		       "      --interval SPAN       show it again after so long; 5s if not "
		       "given\n");
	if (options & HAS_TOP)
		printf("      --host NAME           only instances on this host\n"
		       "      --sort COLUMN         cpu, core, memory, network, disk, traffic, "
		       "name,\n"
		       "                            project, host or state; cpu if not given\n"
		       "      --limit N             at most so many rows\n"
		       "      --csv                 print CSV\n");
	printf("      --json                print JSON\n"
	       "  -c, --config FILE         read FILE, not ./kanyun.conf or /etc/kanyun.conf\n"
	       "  -o, --option SECTION.KEY=VALUE\n"
	       "                            set one key of the configuration\n"
	       "  -V, --version             print the version and exit\n"
	       "  -h, --help                print this and exit\n");
	if (options & (HAS_WINDOW | HAS_AT))
		printf("\nTIME is ISO 8601 (2012-02-20T12:12:12, UTC without a zone), seconds "
		       "since "
		       "1970,\nnow, today, this-month or last-month (in UTC), with a span such as "
		       "now-1h, or -24h.\n");
}

static void print_help(const struct command *command)
{
	if (command) {
		printf("Usage: kanyun %s [OPTION]...%s%s\n%s\n\n", command->name,
			*command->arguments ? " " : "", command->arguments, command->summary);
		print_options(command->options);
		return;
	}
	printf("Usage: kanyun COMMAND [OPTION]... [ARGUMENT]...\n"
	       "Ask kanyun what the virtual machines of a cloud used.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	printf("\n'kanyun COMMAND --help' shows a command's options. See kanyun(1).\n");
}

struct arguments {
	const char *path;
	const char *options[OPTIONS_MAX];
	size_t option_count;
	bool is_help, is_version;
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "option", required_argument, NULL, 'o' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "from", required_argument, NULL, OPTION_FROM },
	{ "to", required_argument, NULL, OPTION_TO },
	{ "at", required_argument, NULL, OPTION_AT },
	{ "project", required_argument, NULL, OPTION_PROJECT },
	{ "by", required_argument, NULL, OPTION_BY },
	{ "all", no_argument, NULL, OPTION_ALL },
	{ "explain", no_argument, NULL, OPTION_EXPLAIN },
	{ "force", no_argument, NULL, OPTION_FORCE },
	{ "once", no_argument, NULL, OPTION_ONCE },
	{ "interval", required_argument, NULL, OPTION_INTERVAL },
	{ "host", required_argument, NULL, OPTION_HOST },
	{ "sort", required_argument, NULL, OPTION_SORT },
	{ "limit", required_argument, NULL, OPTION_LIMIT },
	{ "csv", no_argument, NULL, OPTION_CSV },
	{ "step", required_argument, NULL, OPTION_STEP },
	{ "plot", no_argument, NULL, OPTION_PLOT },
	{ "cql", no_argument, NULL, OPTION_CQL },
	{ NULL, 0, NULL, 0 },
};

static bool take_option(struct client *client, struct arguments *arguments, int option)
{
	switch (option) {
	case 'c':
		arguments->path = optarg;
		return true;
	case 'o':
		if (arguments->option_count == OPTIONS_MAX)
			return false;
		arguments->options[arguments->option_count++] = optarg;
		return true;
	case 'V':
		return arguments->is_version = true;
	case 'h':
		return arguments->is_help = true;
	case OPTION_JSON:
		return client->is_json = true;
	case OPTION_FROM:
		client->from = optarg;
		return true;
	case OPTION_TO:
		client->to = optarg;
		return true;
	case OPTION_PROJECT:
		client->project = optarg;
		return true;
	case OPTION_AT:
		client->at = optarg;
		return true;
	case OPTION_BY:
		client->by = optarg;
		return true;
	case OPTION_ALL:
		return client->is_all = true;
	case OPTION_EXPLAIN:
		return client->is_explained = true;
	case OPTION_FORCE:
		return client->is_forced = true;
	case OPTION_ONCE:
		return client->is_once = true;
	case OPTION_INTERVAL:
		client->interval = optarg;
		return true;
	case OPTION_HOST:
		client->host = optarg;
		return true;
	case OPTION_SORT:
		client->sort = optarg;
		return true;
	case OPTION_LIMIT:
		client->limit = optarg;
		return true;
	case OPTION_CSV:
		return client->is_csv = true;
	case OPTION_STEP:
		client->step = optarg;
		return true;
	case OPTION_PLOT:
		return client->is_plotted = true;
	case OPTION_CQL:
		return client->is_cql = true;
	default:
		return false;
	}
}

/* The specification's -k and -l are no options but forms: they stay among the arguments. */
static bool read_api_client(
	struct client *client, struct arguments *arguments, int argc, char **argv)
{
	int option;

	while (optind < argc && strcmp(argv[optind], "-k") != 0 &&
		strcmp(argv[optind], "-l") != 0 &&
		(option = getopt_long(argc, argv, "+c:o:Vh", long_options, NULL)) != -1)
		if (!take_option(client, arguments, option))
			return false;
	return true;
}

static bool read_kanyun(struct client *client, struct arguments *arguments, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "c:o:Vh", long_options, NULL)) != -1)
		if (!take_option(client, arguments, option))
			return false;
	return true;
}

static int run(struct client *client, const struct arguments *arguments, command_fn *command)
{
	struct error err = { 0 };
	int status = EXIT_FAILED;
	int r = settings_load(arguments->path, arguments->options, arguments->option_count,
		&client->config, &client->config_path, NULL, &err);

	if (r == 0)
		r = client_open(client, &err);
	if (r == 0)
		status = command(client);
	else
		fprintf(stderr, "%s: %s\n", client->program, error_text(&err, r));
	client_close(client);
	if (fflush(stdout) != 0 || ferror(stdout))
		return EXIT_FAILED;
	return status;
}

static int check_options(const struct client *client, const struct command *command)
{
	const struct {
		bool is_given;
		unsigned int needs;
		const char *name;
	} given[] = {
		{ client->from || client->to, HAS_WINDOW | HAS_COPY, "--from and --to" },
		{ client->project, HAS_PROJECT, "--project" },
		{ client->is_all, HAS_USAGE, "--all" },
		{ client->by, HAS_USAGE, "--by" },
		{ client->is_explained, HAS_USAGE, "--explain" },
		{ client->step || client->is_plotted, HAS_USAGE, "--step and --plot" },
		{ client->is_cql, HAS_DUMP, "--cql" },
		{ client->at, HAS_AT, "--at" },
		{ client->is_forced, HAS_FORCE, "--force" },
		{ client->is_once || client->interval, HAS_LIVE, "--once and --interval" },
		{ client->host || client->sort || client->limit || client->is_csv, HAS_TOP,
			"--host, --sort, --limit and --csv" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		if (given[i].is_given && !(command->options & given[i].needs))
			return client_complain(
				client, "%s has no %s", command->name, given[i].name);
	return EXIT_DONE;
}

static int run_kanyun(struct client *client, const struct arguments *arguments)
{
	const struct command *command = NULL;
	int status;

	if (client->argument_count) {
		command = find_command(client->arguments[0]);
		if (!command)
			return client_complain(
				client, "there is no command '%s'", client->arguments[0]);
		client->arguments++;
		client->argument_count--;
	}
	if (arguments->is_help) {
		print_help(command);
		return EXIT_DONE;
	}
	if (!command)
		return client_complain(client, "a command is missing");
	status = check_options(client, command);
	return status == EXIT_DONE ? run(client, arguments, command->run) : status;
}

static int run_api_client(struct client *client, const struct arguments *arguments)
{
	const char *name = client->program;

	if (!arguments->is_help)
		return run(client, arguments, command_api_client);
	printf(api_client_help, name, name, name, name, name);
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	struct client client = { .program = slash ? slash + 1 : argv[0] };
	struct arguments arguments = { 0 };
	bool is_old = strcmp(client.program, "api-client") == 0 ||
		      strcmp(client.program, "api_client") == 0;

	if (!(is_old ? read_api_client : read_kanyun)(&client, &arguments, argc, argv))
		return client_complain(&client, "the options are wrong");
	if (arguments.is_version) {
		printf("%s %s\n", client.program, KANYUN_VERSION);
		return EXIT_DONE;
	}
	client.arguments = argv + optind;
	client.argument_count = argc - optind;
	return is_old ? run_api_client(&client, &arguments) : run_kanyun(&client, &arguments);
}
