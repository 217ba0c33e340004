// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// Is each worker there, and until when has it told everything?

import { get, instances } from "./api.js";
import { h, replace, table } from "./dom.js";
import { ago, duration, number, time } from "./format.js";
import { t } from "./text.js";
import { address, every } from "./view.js";

const BEHIND_SECONDS = 300,
	SKEW_MS = 1000,
	AGAIN_MS = 10000;

// Seconds since it told everything; of one that never did, since ever.
export function lagOf(worker) {
	return worker.told_until ? Math.max(0, (Date.now() - Date.parse(worker.told_until)) / 1000) : Infinity;
}

export function isBehind(worker) {
	return worker.told_until !== null && lagOf(worker) > BEHIND_SECONDS;
}

function health(worker) {
	const notes = [
		worker.alive ? ["good", "workers.alive"] : ["wrong", "workers.dead"],
		worker.id_is_shared && ["wrong", "workers.shared"],
		Math.abs(worker.clock_offset_ms) > SKEW_MS && ["doubt", "workers.skewed"],
	];

	return notes.filter(Boolean).map(([mood, key]) => h("span", { class: "badge " + mood }, t(key)));
}

function clock(worker) {
	const seconds = worker.clock_offset_ms / 1000;

	return Math.abs(seconds) < 0.1
		? t("workers.exact")
		: (seconds > 0 ? "+" : "−") + duration(Math.abs(seconds));
}

export function workerTable(caption, workers, counts, isShort) {
	const columns = [
		{
			label: t("workers.host"),
			cell: (worker) =>
				worker.host
					? h("a", { href: address("/instances", { q: worker.host }) }, worker.host)
					: worker.id,
		},
		{ label: t("workers.health"), cell: health },
		{
			label: t("workers.instances"),
			number: true,
			cell: (worker) => number(counts.get(worker.host) ?? 0),
		},
		{
			label: t("workers.heard"),
			cell: (worker) => h("time", { title: worker.last_seen }, ago(worker.silent_seconds)),
		},
		{
			label: t("workers.told"),
			cell: (worker) =>
				worker.told_until ? time(Date.parse(worker.told_until) / 1000) : t("not-told"),
		},
	];

	if (!isShort)
		columns.push(
			{
				label: t("workers.behind"),
				cell: (worker) => (worker.told_until ? duration(Math.round(lagOf(worker))) : t("none")),
			},
			{ label: t("workers.clock"), cell: clock },
			{ label: t("workers.worker"), cell: (worker) => worker.id },
			{
				label: t("workers.spool"),
				cell: (worker) => h("code", null, worker.spool ? worker.spool.slice(0, 8) : t("none")),
			},
		);
	return table(caption, columns, workers, {
		isHidden: true,
		rowClass: (worker) => (worker.alive ? null : "dead"),
	});
}

export async function showWorkers(root, { signal }) {
	const place = h("div"),
		note = h("p", { class: "stale", role: "status" });

	async function fill() {
		const [{ workers }, list] = await Promise.all([get("/v1/workers", null, signal), instances(signal)]);
		const counts = new Map();

		for (const instance of list) counts.set(instance.host, (counts.get(instance.host) ?? 0) + 1);
		workers.sort((a, b) => a.alive - b.alive || a.id.localeCompare(b.id));
		replace(
			place,
			workers.some((worker) => !worker.alive) &&
				h("p", { class: "banner wrong" }, t("workers.dead.hint")),
			workers.length
				? h("section", { class: "card" }, workerTable(t("workers.title"), workers, counts))
				: h(
						"section",
						{ class: "state" },
						h("h2", null, t("workers.none")),
						h("p", null, t("overview.empty.text")),
					),
		);
	}

	await fill();
	root.replaceChildren(h("h1", { tabindex: -1 }, t("workers.title")), note, place);
	every(AGAIN_MS, signal, note, fill);
}
