/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* How well an amount is known: what of the window is unknown, why, and whether that can still
 * change (docs/usage.md, "How well it is known"). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "query/gather.h"
#include "query/timeline.h"

enum reason_kind {
	REASON_NONE, /* told by another one */
	REASON_TAIL_UNMEASURED,
	REASON_BEGIN_UNMEASURED,
	REASON_GAP,
	REASON_WORKER_SILENT,
	REASON_NOT_ANSWERING,
	REASON_MIGRATED_AWAY,
	REASON_FUTURE,
	REASON_FALL,
	REASON_LEGACY_WORKER,
	REASON_NO_FLAVOR,
	_REASON_COUNT,
};
const char *reason_kind_name(enum reason_kind kind);

/* Texts live as long as the timeline and what was gathered. */
struct reason {
	enum reason_kind kind;
	/* From when to when, as it is, also beyond the window; or since from_ms, where to_ms is
	 * TIME_OPEN. TIME_NEVER: since ever. */
	int64_t from_ms, to_ms;
	const char *epoch, *host; /* "" where they do not belong to it */
	const char *cause;        /* of a gap */
};

enum { REASONS_MAX = 200 }; /* kept of one account; more are left out */

struct account {
	int64_t window_ms, unknown_ms;
	bool is_complete;
	bool is_legacy; /* is_complete is then not known */
	struct reason reasons[REASONS_MAX];
	size_t reason_count;
	struct span *unknown; /* of the window, apart and sorted; owned */
	size_t unknown_count;
};

/* Which of the gathered series, all of one metric, an account is of: those of a parameter; NULL:
 * the instance's states, without any series. */
struct account_question {
	const struct timeline *timeline;
	int64_t from_ms, to_ms; /* within the timeline's window */
	const struct gathered *series;
	size_t count;
	const char *parameter;
	bool lacks_flavor; /* which it is about */
};

/* 0 or -ENOMEM. Free it with account_deinit in every case. */
MUST_CHECK int account_make(const struct account_question *question, struct account *ret_account);
void account_deinit(struct account *account);
CLEANUP_DEFINE_VALUE(struct account, account_deinit)

/* Adds what another parameter's account says: of the two, the one that is known less. */
void account_add(struct account *to, const struct account *other);

/* Adds what the account of another window, apart from this one, says. */
void account_append(struct account *to, const struct account *next);
