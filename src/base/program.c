/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "base/program.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

struct arguments {
	const char *path;
	const char *options[PROGRAM_OPTIONS_MAX];
	size_t option_count;
	bool is_verbose, print_config, check_config;
};

enum { ARGUMENT_READY_FD = 256, ARGUMENT_PRINT, ARGUMENT_CHECK, ARGUMENT_FLAG };

static void print_help(const struct program *program)
{
	printf("Usage: %s [OPTION]...\n%s\n\n"
	       "  -c, --config FILE         read FILE, not ./kanyun.conf or /etc/kanyun.conf\n"
	       "  -o, --option SECTION.KEY=VALUE\n"
	       "                            set one key of the configuration\n",
		program->name, program->summary);
	if (program->flag)
		printf("      --%-18s  %s\n", program->flag, program->flag_help);
	printf("      --print-config        print the whole configuration and exit\n"
	       "      --check-config        say whether the configuration is right, and exit\n"
	       "      --ready-fd N          write where it listens, then READY, to descriptor N\n"
	       "  -v, --verbose             log everything\n"
	       "  -V, --version             print the version and exit\n"
	       "  -h, --help                print this and exit\n\n"
	       "The keys are in kanyun.conf(5).\n");
}

static bool take_ready_fd(struct program *program, const char *text)
{
	int64_t fd;

	if (text_to_i64(text, &fd) < 0 || fd < 0 || fd > 65535)
		return false;
	program->ready_fd = (int)fd;
	return true;
}

static bool complain(const struct program *program, const char *what, int *ret_status)
{
	fprintf(stderr, "%s: %s\nTry '%s --help'.\n", program->name, what, program->name);
	*ret_status = PROGRAM_USAGE;
	return false;
}

/* One option; false if the program is to end with *ret_status. */
static bool take_argument(
	struct program *program, struct arguments *arguments, int option, int *ret_status)
{
	*ret_status = PROGRAM_OK;
	switch (option) {
	case 'c':
		arguments->path = optarg;
		return true;
	case 'o':
		if (arguments->option_count >= PROGRAM_OPTIONS_MAX)
			return complain(program, "too many -o", ret_status);
		arguments->options[arguments->option_count++] = optarg;
		return true;
	case ARGUMENT_READY_FD:
		return take_ready_fd(program, optarg) ||
		       complain(program, "--ready-fd needs a descriptor's number", ret_status);
	case ARGUMENT_PRINT:
		return arguments->print_config = true;
	case ARGUMENT_CHECK:
		return arguments->check_config = true;
	case ARGUMENT_FLAG:
		return program->has_flag = true;
	case 'v':
		return arguments->is_verbose = true;
	case 'V':
		printf("%s %s\n", program->name, KANYUN_VERSION);
		return false;
	case 'h':
		print_help(program);
		return false;
	default:
		fprintf(stderr, "Try '%s --help'.\n", program->name);
		*ret_status = PROGRAM_USAGE;
		return false;
	}
}

static bool read_arguments(struct program *program, int argc, char **argv,
	struct arguments *arguments, int *ret_status)
{
	struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "option", required_argument, NULL, 'o' },
		{ "ready-fd", required_argument, NULL, ARGUMENT_READY_FD },
		{ "print-config", no_argument, NULL, ARGUMENT_PRINT },
		{ "check-config", no_argument, NULL, ARGUMENT_CHECK },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ program->flag, no_argument, NULL, ARGUMENT_FLAG },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:o:vVh", options, NULL)) != -1)
		if (!take_argument(program, arguments, option, ret_status))
			return false;
	return optind == argc || complain(program, "no arguments are expected", ret_status);
}

static enum log_level level_of(const struct config *config, bool is_verbose)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	const char *name = config_text(config, "log", "level");

	if (is_verbose)
		return LOG_LEVEL_DEBUG;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum log_level)i;
	return LOG_LEVEL_INFO;
}

/* [worker] log is the specification's; the others write where [log] file says. */
static const char *log_file_of(const struct program *program)
{
	const char *file = "";

	if (strcmp(program->section, "worker") == 0)
		file = config_text(program->config, "worker", "log");
	return *file ? file : config_text(program->config, "log", "file");
}

static bool start_log(struct program *program, bool is_verbose, int *ret_status)
{
	const char *file = log_file_of(program);
	struct error err = { 0 };
	int r;

	log_init(program->name, level_of(program->config, is_verbose));
	r = *file ? log_open_file(file, &err) : 0;
	if (r == 0)
		return true;
	log_error("%s", error_text(&err, r));
	*ret_status = PROGRAM_FAILED;
	return false;
}

bool program_start(
	struct program *program, int argc, char **argv, program_load_fn load, int *ret_status)
{
	struct arguments arguments = { 0 };
	struct error err = { 0 };
	const char *path = "";
	size_t ignored = 0;
	int r;

	program->ready_fd = -1;
	log_init(program->name, LOG_LEVEL_INFO);
	if (!read_arguments(program, argc, argv, &arguments, ret_status))
		return false;
	r = load(arguments.path, arguments.options, arguments.option_count, &program->config, &path,
		&ignored, &err);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", program->name, error_text(&err, r));
		*ret_status = PROGRAM_USAGE;
		return false;
	}
	if (arguments.print_config || arguments.check_config) {
		if (arguments.print_config)
			config_print(program->config, stdout);
		else
			printf("%s: the configuration is right\n", *path ? path : "defaults");
		program->config = config_free(program->config);
		*ret_status = PROGRAM_OK;
		return false;
	}
	if (!start_log(program, arguments.is_verbose, ret_status)) {
		program->config = config_free(program->config);
		return false;
	}
	log_info("%s %s starts, configuration: %s", program->name, KANYUN_VERSION,
		*path ? path : "defaults");
	if (ignored)
		log_warning("'%s': %zu lines before the first section are ignored", path, ignored);
	return true;
}

static void write_line(struct program *program, const char *line)
{
	if (program->ready_fd >= 0 && write(program->ready_fd, line, strlen(line)) < 0) {
		log_warning("cannot write to the ready descriptor: %s", strerror(errno));
		program->ready_fd = -1;
	}
}

void program_tell(struct program *program, const char *word, const char *value)
{
	char line[512];

	log_info("%s: %s", word, value);
	snprintf(line, sizeof(line), "%s %s\n", word, value);
	write_line(program, line);
}

/* sd_notify(3), without libsystemd: one datagram to the socket that systemd names. */
static void notify_systemd(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = path ? strlen(path) : 0;
	int fd;

	if (length < 2 || length >= sizeof(address.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		log_debug("cannot notify systemd: %s", strerror(errno));
	close(fd);
}

void program_ready(struct program *program)
{
	write_line(program, "READY\n");
	if (program->ready_fd >= 0)
		close(program->ready_fd);
	program->ready_fd = -1;
	notify_systemd("READY=1");
}

void program_end(struct program *program)
{
	notify_systemd("STOPPING=1");
	log_info("%s ends", program->name);
	program->config = config_free(program->config);
}
