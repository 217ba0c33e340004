/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Preloaded into kanyun-traffic: nftables refuses chains with the hook that $KANYUN_NO_HOOK names,
 * as a Linux before 5.16 does egress, and one without netdev chains ingress. */

#include <dlfcn.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) int nft_run_cmd_from_buffer(
	struct nft_ctx *context, const char *commands)
{
	int (*run)(struct nft_ctx *, const char *) = dlsym(RTLD_NEXT, "nft_run_cmd_from_buffer");

	const char *name = getenv("KANYUN_NO_HOOK");
	const char *hook = strstr(commands, "hook ");

	if (!run || !name)
		abort();
	while (hook && strncmp(hook + 5, name, strlen(name)) != 0)
		hook = strstr(hook + 5, "hook ");
	return hook ? -1 : run(context, commands);
}
