/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: The kanyun authors */
#pragma once

/* What the child that asks QEMU is asked, and what becomes of its answers: all domains once a
 * round, which nobody waits for; and one domain when something happens to it, which is waited for,
 * but not longer than a reading may be late. */

#include "collect/libvirt/reader.h"

/* Begins the round's question; is_asking says whether it was possible. */
void questions_begin(struct reader *reader, int64_t time_ms);

/* A while of waiting for its answer, which ends the round. */
void questions_wait(struct reader *reader);

/* Ends a round in which nothing could be asked. */
void questions_do_without(struct reader *reader);

/* Asks for one domain now. False: not possible; else questions_wait_one is called. */
bool questions_ask_one(struct reader *reader, const struct uuid *uuid);

/* Its answer, as of time_ms. */
void questions_wait_one(struct reader *reader, struct domain *domain, int64_t time_ms);
