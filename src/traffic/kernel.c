/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "traffic/kernel.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/gen.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

enum { REQUEST_SIZE = 4096, RECEIVE_SIZE = 65536, INDEX_SIZE = 4 };

struct kernel {
	struct mnl_socket *netfilter, *routes;
	uint32_t sequence;
	char request[REQUEST_SIZE];
	char received[RECEIVE_SIZE];
};

static struct mnl_socket *open_socket(int bus)
{
	struct mnl_socket *socket = mnl_socket_open2(bus, SOCK_CLOEXEC);

	if (socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(socket);
		return NULL;
	}
	return socket;
}

int kernel_open(struct kernel **ret_kernel)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		return -ENOMEM;
	kernel->sequence = (uint32_t)time(NULL);
	kernel->netfilter = open_socket(NETLINK_NETFILTER);
	kernel->routes = open_socket(NETLINK_ROUTE);
	if (!kernel->netfilter || !kernel->routes) {
		int r = -errno;

		kernel_close(kernel);
		return r;
	}
	*ret_kernel = kernel;
	return 0;
}

struct kernel *kernel_close(struct kernel *kernel)
{
	if (!kernel)
		return NULL;
	if (kernel->netfilter)
		mnl_socket_close(kernel->netfilter);
	if (kernel->routes)
		mnl_socket_close(kernel->routes);
	free(kernel);
	return NULL;
}

/* Sends the request and gives each message of the answer to `take`. */
static int ask(struct kernel *kernel, struct mnl_socket *socket, const struct nlmsghdr *request,
	mnl_cb_t take, void *context)
{
	unsigned int port = mnl_socket_get_portid(socket);
	int r = MNL_CB_OK;
	ssize_t size;

	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		size = mnl_socket_recvfrom(socket, kernel->received, sizeof(kernel->received));
		if (size < 0)
			return -errno;
		r = mnl_cb_run(
			kernel->received, (size_t)size, request->nlmsg_seq, port, take, context);
		if (r < 0)
			return errno == EINTR || errno == ESRCH ? -EAGAIN : -errno;
	}
	return 0;
}

static struct nlmsghdr *begin(struct kernel *kernel, uint16_t type, uint16_t flags)
{
	return nftnl_nlmsg_build_hdr(
		kernel->request, type, NFPROTO_NETDEV, flags, ++kernel->sequence);
}

static int take_generation(const struct nlmsghdr *message, void *context)
{
	struct nftnl_gen *generation = nftnl_gen_alloc();
	uint32_t *ret_generation = context;

	if (!generation)
		return MNL_CB_ERROR;
	if (nftnl_gen_nlmsg_parse(message, generation) == 0)
		*ret_generation = nftnl_gen_get_u32(generation, NFTNL_GEN_ID);
	nftnl_gen_free(generation);
	return MNL_CB_OK;
}

int kernel_generation(struct kernel *kernel, uint32_t *ret_generation)
{
	return ask(kernel, kernel->netfilter, begin(kernel, NFT_MSG_GETGEN, NLM_F_ACK),
		take_generation, ret_generation);
}

/* What a callback fills. */
struct taking {
	struct arena *arena;
	struct kernel_layout *layout;
	const char *comment; /* of right rules */
	struct kernel_elements *elements;
	enum traffic_kind kind;
	uint8_t family;
	int failure;
};

static int fail(struct taking *taking, int r)
{
	taking->failure = r;
	return MNL_CB_STOP;
}

static int take_table(const struct nlmsghdr *message, void *context)
{
	struct taking *taking = context;
	struct nftnl_table *table = nftnl_table_alloc();

	if (!table)
		return fail(taking, -ENOMEM);
	if (nftnl_table_nlmsg_parse(message, table) == 0) {
		taking->layout->has_table = true;
		taking->layout->handle = nftnl_table_get_u64(table, NFTNL_TABLE_HANDLE);
		taking->layout->flags = nftnl_table_get_u32(table, NFTNL_TABLE_FLAGS);
	}
	nftnl_table_free(table);
	return MNL_CB_OK;
}

static int read_table(struct kernel *kernel, struct taking *taking)
{
	struct nlmsghdr *request = begin(kernel, NFT_MSG_GETTABLE, NLM_F_ACK);
	struct nftnl_table *table = nftnl_table_alloc();
	int r;

	if (!table)
		return -ENOMEM;
	nftnl_table_set_str(table, NFTNL_TABLE_NAME, KERNEL_TABLE);
	nftnl_table_nlmsg_build_payload(request, table);
	nftnl_table_free(table);
	r = ask(kernel, kernel->netfilter, request, take_table, taking);
	return r == -ENOENT ? 0 : r;
}

static int compare_chains(const void *a, const void *b)
{
	const struct kernel_chain *first = a, *second = b;

	return strcmp(first->name, second->name);
}

static int take_chain(const struct nlmsghdr *message, void *context)
{
	struct taking *taking = context;
	struct kernel_layout *layout = taking->layout;
	struct nftnl_chain *chain = nftnl_chain_alloc();
	struct kernel_chain *larger = arena_grow(taking->arena, layout->chains, layout->chain_count,
		KERNEL_CHAINS_MAX, sizeof(*larger));

	if (!chain || !larger) {
		nftnl_chain_free(chain);
		return fail(taking, -ENOMEM);
	}
	layout->chains = larger;
	if (nftnl_chain_nlmsg_parse(message, chain) == 0 &&
		strcmp(nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE), KERNEL_TABLE) == 0) {
		struct kernel_chain *new = &larger[layout->chain_count];

		*new = (struct kernel_chain){ .handles = TEXT_HASH_SEED };
		/* A longer name is not one of ours. */
		if (text_copy(new->name, sizeof(new->name),
			    nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME)))
			layout->chain_count++;
	}
	nftnl_chain_free(chain);
	return MNL_CB_OK;
}

struct comment {
	uint8_t type;
	char *text;
};

static int take_comment(const struct nftnl_udata *data, void *context)
{
	const struct comment *comment = context;
	size_t size = nftnl_udata_len(data);
	const char *text = nftnl_udata_get(data);

	if (nftnl_udata_type(data) == comment->type && size && size < KERNEL_COMMENT_SIZE &&
		!text[size - 1])
		memcpy(comment->text, text, size);
	return 0;
}

static void read_comment(
	const void *data, uint32_t size, uint8_t type, char text[KERNEL_COMMENT_SIZE])
{
	struct comment comment = { type, text };

	*text = '\0';
	if (data && size)
		(void)nftnl_udata_parse(data, size, take_comment, &comment);
}

static void add_rule(struct taking *taking, struct nftnl_rule *rule)
{
	struct kernel_layout *layout = taking->layout;
	uint64_t handle = nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE);
	char comment[KERNEL_COMMENT_SIZE];
	struct kernel_chain key, *chain;
	const void *data;
	uint32_t size = 0;

	if (!text_copy(key.name, sizeof(key.name), nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN)))
		return;
	chain = layout->chain_count ? bsearch(&key, layout->chains, layout->chain_count,
					      sizeof(key), compare_chains)
				    : NULL;
	if (!chain)
		return;
	data = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &size);
	read_comment(data, size, NFTNL_UDATA_RULE_COMMENT, comment);
	chain->rules++;
	chain->right_rules += strcmp(comment, taking->comment) == 0;
	chain->handles = text_hash(chain->handles, &handle, sizeof(handle));
}

static int take_rule(const struct nlmsghdr *message, void *context)
{
	struct taking *taking = context;
	struct nftnl_rule *rule = nftnl_rule_alloc();

	if (!rule)
		return fail(taking, -ENOMEM);
	if (nftnl_rule_nlmsg_parse(message, rule) == 0 &&
		strcmp(nftnl_rule_get_str(rule, NFTNL_RULE_TABLE), KERNEL_TABLE) == 0)
		add_rule(taking, rule);
	nftnl_rule_free(rule);
	return MNL_CB_OK;
}

static int read_rules(struct kernel *kernel, struct taking *taking)
{
	struct nlmsghdr *request = begin(kernel, NFT_MSG_GETRULE, NLM_F_DUMP);
	struct nftnl_rule *rule = nftnl_rule_alloc();
	int r;

	if (!rule)
		return -ENOMEM;
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, KERNEL_TABLE);
	nftnl_rule_nlmsg_build_payload(request, rule);
	nftnl_rule_free(rule);
	r = ask(kernel, kernel->netfilter, request, take_rule, taking);
	return r == -ENOENT ? 0 : r;
}

int kernel_read_layout(struct kernel *kernel, const char *comment, struct arena *arena,
	struct kernel_layout *ret_layout)
{
	struct taking taking = { .arena = arena, .layout = ret_layout, .comment = comment };
	uint32_t after = 0;
	int r;

	*ret_layout = (struct kernel_layout){ .generation = 0 };
	r = kernel_generation(kernel, &ret_layout->generation);
	if (r == 0)
		r = read_table(kernel, &taking);
	if (r == 0 && ret_layout->has_table)
		r = ask(kernel, kernel->netfilter, begin(kernel, NFT_MSG_GETCHAIN, NLM_F_DUMP),
			take_chain, &taking);
	if (r == 0 && ret_layout->chain_count) {
		qsort(ret_layout->chains, ret_layout->chain_count, sizeof(*ret_layout->chains),
			compare_chains);
		r = read_rules(kernel, &taking);
	}
	if (r == 0 && !taking.failure)
		r = kernel_generation(kernel, &after);
	if (r < 0 || taking.failure)
		return r < 0 ? r : taking.failure;
	return after == ret_layout->generation ? 0 : -EAGAIN;
}

const char *kernel_set_name(enum traffic_kind kind, uint8_t family)
{
	static const char *const names[_TRAFFIC_KINDS][2] = {
		[TRAFFIC_EXTERNAL_IN] = { "external_in4", "external_in6" },
		[TRAFFIC_EXTERNAL_OUT] = { "external_out4", "external_out6" },
		[TRAFFIC_INTERNAL_IN] = { "internal_in4", "internal_in6" },
		[TRAFFIC_INTERNAL_OUT] = { "internal_out4", "internal_out6" },
	};

	return names[kind][family == 6];
}

/* The key is the index in the host's order and the address. False: no memory. */
static bool add_element(struct taking *taking, struct nftnl_set_elem *from)
{
	struct kernel_elements *elements = taking->elements;
	uint32_t key_size = 0, size = 0, address_size = taking->family == 4 ? 4 : 16;
	const uint8_t *key = nftnl_set_elem_get(from, NFTNL_SET_ELEM_KEY, &key_size);
	const struct nftnl_expr *counter = nftnl_set_elem_get(from, NFTNL_SET_ELEM_EXPR, &size);
	struct kernel_element *larger, *element;
	const void *data;

	if (!key || key_size != INDEX_SIZE + address_size || !counter ||
		strcmp(nftnl_expr_get_str(counter, NFTNL_EXPR_NAME), "counter") != 0)
		return true; /* of another set than ours */
	larger = arena_grow(taking->arena, elements->items, elements->count,
		2 * _TRAFFIC_KINDS * TRAFFIC_PORTS_MAX, sizeof(*larger));
	if (!larger)
		return false;
	elements->items = larger;
	element = &larger[elements->count++];
	*element = (struct kernel_element){ .kind = taking->kind,
		.address.family = taking->family,
		.packets = nftnl_expr_get_u64(counter, NFTNL_EXPR_CTR_PACKETS),
		.bytes = nftnl_expr_get_u64(counter, NFTNL_EXPR_CTR_BYTES) };
	memcpy(&element->index, key, INDEX_SIZE);
	memcpy(element->address.bytes, key + INDEX_SIZE, address_size);
	data = nftnl_set_elem_get(from, NFTNL_SET_ELEM_USERDATA, &size);
	read_comment(data, size, NFTNL_UDATA_SET_ELEM_COMMENT, element->comment);
	return true;
}

static int take_elements(const struct nlmsghdr *message, void *context)
{
	struct taking *taking = context;
	struct nftnl_set *set = nftnl_set_alloc();
	struct nftnl_set_elems_iter *elements;
	struct nftnl_set_elem *element;
	bool is_ok = true;

	if (!set)
		return fail(taking, -ENOMEM);
	if (nftnl_set_elems_nlmsg_parse(message, set) < 0) {
		nftnl_set_free(set);
		return MNL_CB_OK;
	}
	elements = nftnl_set_elems_iter_create(set);
	while (elements && is_ok && (element = nftnl_set_elems_iter_next(elements)) != NULL)
		is_ok = add_element(taking, element);
	is_ok = is_ok && elements;
	if (elements)
		nftnl_set_elems_iter_destroy(elements);
	nftnl_set_free(set);
	return is_ok ? MNL_CB_OK : fail(taking, -ENOMEM);
}

static int read_set(struct kernel *kernel, struct taking *taking)
{
	struct nlmsghdr *request = begin(kernel, NFT_MSG_GETSETELEM, NLM_F_DUMP);
	struct nftnl_set *set = nftnl_set_alloc();
	int r;

	if (!set)
		return -ENOMEM;
	nftnl_set_set_str(set, NFTNL_SET_TABLE, KERNEL_TABLE);
	nftnl_set_set_str(set, NFTNL_SET_NAME, kernel_set_name(taking->kind, taking->family));
	nftnl_set_elems_nlmsg_build_payload(request, set);
	nftnl_set_free(set);
	r = ask(kernel, kernel->netfilter, request, take_elements, taking);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : taking->failure;
}

int kernel_read_elements(
	struct kernel *kernel, struct arena *arena, struct kernel_elements *ret_elements)
{
	struct taking taking = { .arena = arena, .elements = ret_elements };
	int r = 0;

	*ret_elements = (struct kernel_elements){ .count = 0 };
	for (unsigned int i = 0; r == 0 && i < 2 * _TRAFFIC_KINDS; i++) {
		taking.kind = i / 2;
		taking.family = i % 2 ? 6 : 4;
		r = read_set(kernel, &taking);
	}
	return r;
}

struct device {
	const char *nic;
	bool is_it;
	uint64_t packets;
};

static int take_device(const struct nlmsghdr *message, void *context)
{
	struct device *device = context;
	struct rtnl_link_stats64 stats;
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, message, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(attribute) == IFLA_IFNAME &&
			mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
			device->is_it = strcmp(mnl_attr_get_str(attribute), device->nic) == 0;
		if (mnl_attr_get_type(attribute) != IFLA_STATS64 ||
			mnl_attr_get_payload_len(attribute) <
				offsetof(struct rtnl_link_stats64, rx_bytes))
			continue;
		memcpy(&stats, mnl_attr_get_payload(attribute),
			offsetof(struct rtnl_link_stats64, rx_bytes));
		device->packets = stats.rx_packets + stats.tx_packets;
	}
	return MNL_CB_OK;
}

int kernel_read_packets(
	struct kernel *kernel, const char *nic, uint32_t index, uint64_t *ret_packets)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(kernel->request);
	struct device device = { .nic = nic };
	struct ifinfomsg *link;
	int r;

	request->nlmsg_type = RTM_GETLINK;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = ++kernel->sequence;
	link = mnl_nlmsg_put_extra_header(request, sizeof(*link));
	*link = (struct ifinfomsg){ .ifi_family = AF_UNSPEC, .ifi_index = (int)index };
	r = ask(kernel, kernel->routes, request, take_device, &device);
	*ret_packets = device.packets;
	return r < 0 ? r : device.is_it ? 0 : -ENODEV;
}
