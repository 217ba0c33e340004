/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#include "collect/libvirt/silence.h"

#include <stdio.h>

#include "base/time-text.h"

static void note_silence(struct reader *reader, struct domain *domain, bool is_silent)
{
	char since[TIME_TEXT_SIZE], text[256];

	if (is_silent && !domain->silent_ms)
		domain->silent_ms = clock_wall_ms(reader->context.clock);
	if (is_silent) {
		time_text_format(domain->silent_ms, since);
		snprintf(text, sizeof(text),
			"its QEMU has not answered since %s; its disks and guest memory are "
			"missing, the rest is read",
			since);
		reader_note(reader, true, domain->metadata.info.name, text);
	} else if (domain->silent_ms) {
		reader_note(reader, false, domain->metadata.info.name, "its QEMU answers again");
		domain->silent_ms = 0;
	}
}

static bool is_occupied(struct reader *reader, const struct domain *domain)
{
	virDomainPtr handle =
		virDomainLookupByUUID(connection_handle(reader->connection), domain->uuid.bytes);
	virDomainControlInfo info = { 0 };
	bool is_known = handle && virDomainGetControlInfo(handle, &info, 0) == 0;

	if (handle)
		virDomainFree(handle);
	return is_known && info.state == VIR_DOMAIN_CONTROL_OCCUPIED &&
	       (int64_t)info.stateTime >= reader_patience_ms(reader) / 2;
}

void silence_find(struct reader *reader)
{
	bool is_any = false, is_this;

	for (size_t i = 0; i < reader->domains.count; i++) {
		struct domain *domain = reader->domains.items[i];

		if (!domain->described_ms || (!monitor_hung_calls(reader->monitor) &&
						     !domain->silent_ms && !domain->is_partial))
			continue;
		is_this = domain_is_running(domain) && is_occupied(reader, domain);
		is_any = is_any || is_this;
		note_silence(reader, domain, is_this);
	}
	if (!is_any)
		monitor_forget_inherited(reader->monitor);
}
