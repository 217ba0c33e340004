/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"

enum { DOMAIN_XML_MAX = 4 * 1024 * 1024 };

/* Errors are read from virGetLastErrorMessage; libvirt would print them besides. */
static void ignore_error(void *data, virErrorPtr error)
{
	(void)data;
	(void)error;
}

/* Does the guest report its memory? /domain/devices/memballoon/stats/@period, in seconds. */
static bool has_balloon_period(const char *xml)
{
	xmlDoc *document;
	xmlXPathContext *context;
	xmlXPathObject *value = NULL;
	bool has_period;

	if (strlen(xml) > DOMAIN_XML_MAX)
		return false;
	document = xmlReadMemory(xml, (int)strlen(xml), "domain.xml", NULL,
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	context = document ? xmlXPathNewContext(document) : NULL;
	if (context)
		value = xmlXPathEvalExpression(
			(const xmlChar *)"number(/domain/devices/memballoon/stats/@period) > 0",
			context);
	has_period = value && value->boolval;
	xmlXPathFreeObject(value);
	xmlXPathFreeContext(context);
	xmlFreeDoc(document);
	return has_period;
}

static void check_domain(struct doctor *doctor, virDomainPtr domain, size_t *silent)
{
	char *xml = virDomainGetXMLDesc(domain, 0);

	if (!xml)
		doctor_find(doctor, FINDING_WARNING, "libvirt", "", "domain %s: %s",
			virDomainGetName(domain), virGetLastErrorMessage());
	else if (!has_balloon_period(xml)) {
		++*silent;
		doctor_find(doctor, FINDING_WARNING, "balloon",
			"set [libvirt] mem_stats_period_seconds in nova.conf; for a running one: "
			"virsh dommemstat DOMAIN --period 10 --live",
			"domain %s has no statistics period: no mem_free",
			virDomainGetName(domain));
	}
	free(xml);
}

static void check_domains(struct doctor *doctor, virConnectPtr connection)
{
	virDomainPtr *domains = NULL;
	size_t silent = 0;
	int count = virConnectListAllDomains(connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);

	if (count < 0) {
		doctor_find(doctor, FINDING_PROBLEM, "libvirt", "", "cannot list domains: %s",
			virGetLastErrorMessage());
		return;
	}
	doctor_find(doctor, FINDING_OK, "libvirt", "", "%d domains run", count);
	for (int i = 0; i < count; i++) {
		check_domain(doctor, domains[i], &silent);
		virDomainFree(domains[i]);
	}
	free(domains);
	if (count > 0 && silent == 0)
		doctor_find(doctor, FINDING_OK, "balloon", "", "all domains report their memory");
}

void doctor_check_libvirt(struct doctor *doctor, const struct config *config)
{
	const char *uri = config_text(config, "worker", "libvirt_uri");
	virConnectPtr connection;
	unsigned long version = 0;

	virSetErrorFunc(NULL, ignore_error);
	connection = virConnectOpenReadOnly(uri);
	if (!connection) {
		doctor_find(doctor, FINDING_WARNING, "libvirt",
			"on a compute host: is libvirtd running, may this user use it? Elsewhere: "
			"nothing",
			"cannot open %s: %s", uri, virGetLastErrorMessage());
		return;
	}
	(void)virConnectGetLibVersion(connection, &version);
	doctor_find(doctor, FINDING_OK, "libvirt", "", "%s answers, version %lu.%lu.%lu", uri,
		version / 1000000, version / 1000 % 1000, version % 1000);
	check_domains(doctor, connection);
	virConnectClose(connection);
}
