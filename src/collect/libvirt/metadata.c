/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */

/* Elements of nova's are found by their local name below <metadata>, whichever of its namespaces
 * they are in; what is not there stays unknown. */

#include "collect/libvirt/metadata.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define NOVA     "/domain/metadata/*[local-name()='instance' and contains(namespace-uri(), 'nova')]"
#define IN(name) "/*[local-name()='" name "']"

struct reader {
	xmlXPathContextPtr path;
	struct arena *arena;
	bool is_out_of_memory;
};

/* The text at an expression, below `node` if that is given; "" if there is none. */
static const char *text_at(struct reader *reader, xmlNodePtr node, const char *expression)
{
	char whole[512];
	xmlXPathObjectPtr found;
	const char *text = "";

	snprintf(whole, sizeof(whole), "normalize-space(%s)", expression);
	reader->path->node = node;
	found = xmlXPathEvalExpression((const xmlChar *)whole, reader->path);
	if (found && found->stringval) {
		size_t size = strlen((const char *)found->stringval);

		if (size <= INSTANCE_TEXT_MAX)
			text = arena_copy_text(reader->arena, (const char *)found->stringval, size);
	}
	xmlXPathFreeObject(found);
	if (!text)
		reader->is_out_of_memory = true;
	return text ? text : "";
}

static int64_t number_at(struct reader *reader, const char *expression)
{
	int64_t value;

	if (text_to_i64(text_at(reader, NULL, expression), &value) < 0 || value < 0)
		return -1;
	return value;
}

static xmlXPathObjectPtr nodes_at(struct reader *reader, xmlNodePtr node, const char *expression)
{
	reader->path->node = node;
	return xmlXPathEvalExpression((const xmlChar *)expression, reader->path);
}

static size_t count_of(xmlXPathObjectPtr nodes, size_t maximum)
{
	size_t count =
		nodes && nodes->nodesetval ? (size_t)MAX_OF(nodes->nodesetval->nodeNr, 0) : 0;

	return MIN_OF(count, maximum);
}

static void read_addresses(struct reader *reader, xmlNodePtr node, struct instance_port *port)
{
	xmlXPathObjectPtr nodes = nodes_at(reader, node, "./*[local-name()='ip']");
	size_t count = count_of(nodes, INSTANCE_ADDRESSES_MAX);
	const char **addresses = arena_take_array(reader->arena, count + 1, sizeof(*addresses));

	for (size_t i = 0; addresses && i < count; i++)
		addresses[i] = text_at(reader, nodes->nodesetval->nodeTab[i], "./@address");
	reader->is_out_of_memory = reader->is_out_of_memory || !addresses;
	port->addresses = addresses;
	port->address_count = addresses ? count : 0;
	xmlXPathFreeObject(nodes);
}

/* Neutron names a tap after the first 11 characters of the port's id; where that does not fit, the
 * order of the two lists is the same. */
static bool is_port_of(const struct instance_port *port, const char *id)
{
	return strlen(id) >= 11 && strlen(port->nic) > 3 && strncmp(port->nic + 3, id, 11) == 0;
}

static void join_ports(struct reader *reader, struct instance_port *ports, size_t count)
{
	xmlXPathObjectPtr nodes = nodes_at(reader, NULL, NOVA IN("ports") IN("port"));
	size_t node_count = count_of(nodes, INSTANCE_PORTS_MAX), k;

	for (size_t i = 0; i < node_count; i++) {
		xmlNodePtr node = nodes->nodesetval->nodeTab[i];
		const char *id = text_at(reader, node, "./@uuid");

		for (k = 0; k < count && !is_port_of(&ports[k], id); k++)
			;
		if (k == count && i < count && !*ports[i].port_id)
			k = i;
		if (k == count)
			continue;
		ports[k].port_id = id;
		read_addresses(reader, node, &ports[k]);
	}
	xmlXPathFreeObject(nodes);
}

static void read_ports(struct reader *reader, struct instance_info *info)
{
	xmlXPathObjectPtr nodes = nodes_at(reader, NULL, "/domain/devices/interface");
	size_t count = count_of(nodes, INSTANCE_PORTS_MAX);
	struct instance_port *ports = arena_take_array(reader->arena, count + 1, sizeof(*ports));

	for (size_t i = 0; ports && i < count; i++) {
		xmlNodePtr node = nodes->nodesetval->nodeTab[i];

		ports[i].nic = text_at(reader, node, "./target/@dev");
		ports[i].mac = text_at(reader, node, "./mac/@address");
		ports[i].port_id = "";
	}
	if (ports)
		join_ports(reader, ports, count);
	reader->is_out_of_memory = reader->is_out_of_memory || !ports;
	info->ports = ports;
	info->port_count = ports ? count : 0;
	xmlXPathFreeObject(nodes);
}

static void read_disks(struct reader *reader, struct metadata *metadata)
{
	xmlXPathObjectPtr nodes = nodes_at(reader, NULL, "/domain/devices/disk");

	metadata->disk_count = count_of(nodes, METADATA_DISKS_MAX);
	for (size_t i = 0; i < metadata->disk_count; i++) {
		xmlNodePtr node = nodes->nodesetval->nodeTab[i];

		metadata->disks[i].target = text_at(reader, node, "./target/@dev");
		metadata->disks[i].serial = text_at(reader, node, "./serial");
		metadata->disks[i].alias = text_at(reader, node, "./alias/@name");
	}
	xmlXPathFreeObject(nodes);
}

static void read_info(struct reader *reader, struct instance_info *info)
{
	info->display_name = text_at(reader, NULL, NOVA IN("name"));
	info->project_id = text_at(reader, NULL, NOVA IN("owner") IN("project") "/@uuid");
	info->project_name = text_at(reader, NULL, NOVA IN("owner") IN("project"));
	info->user_id = text_at(reader, NULL, NOVA IN("owner") IN("user") "/@uuid");
	info->user_name = text_at(reader, NULL, NOVA IN("owner") IN("user"));
	info->flavor_id = text_at(reader, NULL, NOVA IN("flavor") "/@id");
	info->flavor_name = text_at(reader, NULL, NOVA IN("flavor") "/@name");
	info->image_id = text_at(reader, NULL, NOVA IN("root") "[@type='image']/@uuid");
	info->vcpus = number_at(reader, NOVA IN("flavor") IN("vcpus"));
	info->memory_mib = number_at(reader, NOVA IN("flavor") IN("memory"));
	info->disk_gib = number_at(reader, NOVA IN("flavor") IN("disk"));
	if (info->vcpus < 0)
		info->vcpus = number_at(reader, "/domain/vcpu");
	if (info->memory_mib < 0) {
		int64_t kib = number_at(reader, "/domain/memory");

		info->memory_mib = kib < 0 ? -1 : kib / 1024;
	}
}

int metadata_parse(const char *xml, struct arena *arena, struct metadata *ret_metadata)
{
	xmlDocPtr document = xmlReadMemory(xml, (int)strlen(xml), "domain", NULL,
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	struct reader reader = { .arena = arena };

	if (!document)
		return -EINVAL;
	reader.path = xmlXPathNewContext(document);
	if (!reader.path) {
		xmlFreeDoc(document);
		return -ENOMEM;
	}
	*ret_metadata = (struct metadata){ .info = { .name = "", .host = "" } };
	read_info(&reader, &ret_metadata->info);
	read_ports(&reader, &ret_metadata->info);
	read_disks(&reader, ret_metadata);
	xmlXPathFreeContext(reader.path);
	xmlFreeDoc(document);
	return reader.is_out_of_memory ? -ENOMEM : 0;
}
