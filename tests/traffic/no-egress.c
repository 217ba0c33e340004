/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Preloaded into kanyun-traffic: nftables as on a Linux before 5.16, which refuses chains with the
 * egress hook. */

#include <dlfcn.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) int nft_run_cmd_from_buffer(
	struct nft_ctx *context, const char *commands)
{
	int (*run)(struct nft_ctx *, const char *) = dlsym(RTLD_NEXT, "nft_run_cmd_from_buffer");

	if (!run)
		abort();
	return strstr(commands, "hook egress") ? -1 : run(context, commands);
}
