// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// Is everything metered, and who uses most?

import { big, get, getExact, instances, Problem } from "./api.js";
import { h, loading, replace } from "./dom.js";
import { ago, amount, bytes, figure, instanceName, integer, number, projectName, time } from "./format.js";
import { t } from "./text.js";
import { address, every, goTo, instanceAddress, problemBox } from "./view.js";
import { isBehind, lagOf, workerTable } from "./workers.js";

const SEEN_SECONDS = 300,
	TOP = 5,
	HOSTS = 8;
const HEALTH_MS = 10000,
	TOP_MS = 60000;
const WINDOWS = ["now-15m", "now-1h", "today", "this-month"];

// Each kind of consumption: its metrics, whose values are added up, and how the sum is shown.
const KINDS = [
	{
		name: "cpu",
		metrics: ["cpu"],
		show: (value, seconds) =>
			seconds
				? `${amount(value, "ns")} · ${t("overview.top.cores", { count: figure(Number(value) / 1e9 / seconds) })}`
				: amount(value, "ns"),
	},
	{ name: "memory", metrics: ["mem_rss"], isGauge: true, show: (value) => bytes(value * 1024n) },
	{ name: "network", metrics: ["nic_incoming", "nic_outgoing"], show: (value) => bytes(value) },
	{ name: "disk", metrics: ["blk_read", "blk_write"], show: (value) => bytes(value) },
	{ name: "external", metrics: ["vmnetwork"], show: (value) => bytes(value) },
];

const KIND_OF = new Map(KINDS.flatMap((kind) => kind.metrics.map((metric) => [metric, kind])));

// What a token of projects may not see is null.
async function operator(path, signal) {
	try {
		return await get(path, null, signal);
	} catch (error) {
		if (error instanceof Problem && error.status === 403 && /token of projects/.test(error.message))
			return null;
		throw error;
	}
}

function tile(id, label, value, unit, note, mood) {
	return h(
		"div",
		{ class: "tile " + (mood ?? ""), id: "tile-" + id },
		h("h2", null, label),
		h("p", { class: "value" }, value, unit && h("span", { class: "unit" }, " " + unit)),
		h("p", { class: "note" }, note),
	);
}

function workersTile({ alive, dead }) {
	return tile(
		"workers",
		t("overview.workers"),
		`${number(alive)} / ${number(alive + dead)}`,
		null,
		dead
			? t("overview.workers.dead", { count: number(dead) })
			: alive
				? t("overview.workers.alive")
				: t("workers.none"),
		dead ? "wrong" : alive ? "good" : "",
	);
}

function instancesTile(list) {
	const since = Date.now() / 1000 - SEEN_SECONDS;
	const seen = list.filter((instance) => instance.last >= since).length;

	return tile(
		"instances",
		t("overview.instances"),
		number(seen),
		null,
		t("overview.instances.of", { count: number(list.length) }),
	);
}

// Since the status before; at first, since the start of the server.
function ingestTile(status, before) {
	const isNewer = before && status.uptime_seconds > before.uptime_seconds;
	const samples = status.counters.stored - (isNewer ? before.counters.stored : 0);
	const seconds = status.uptime_seconds - (isNewer ? before.uptime_seconds : 0);
	const rate = samples / Math.max(seconds, 1);

	return tile(
		"ingest",
		t("overview.ingest"),
		figure(rate),
		t("overview.ingest.unit"),
		t("overview.ingest.total", { count: integer(status.counters.stored) }),
	);
}

// The worker that is farthest behind says until when everything is known.
function completeTile(workers) {
	const last = workers.filter((worker) => worker.told_until).sort((a, b) => lagOf(b) - lagOf(a))[0];

	if (!last) return tile("complete", t("overview.complete"), t("none"), null, t("overview.complete.none"));
	return tile(
		"complete",
		t("overview.complete"),
		time(Date.parse(last.told_until) / 1000).slice(11),
		null,
		[
			ago(lagOf(last)),
			isBehind(last) && " · " + t("overview.complete.host", { host: last.host || last.id }),
		],
		isBehind(last) ? "doubt" : "good",
	);
}

function problems(status, workers) {
	const dead = workers.filter((worker) => !worker.alive).map((worker) => worker.host || worker.id);
	const names = dead.slice(0, 5).join(", ") + (dead.length > 5 ? " …" : "");

	return [
		status.store_is_failing && t("overview.problem.store"),
		dead.length && t("overview.problem.dead", { names }),
		status.damaged_days && t("overview.problem.damaged", { count: status.damaged_days }),
	]
		.filter(Boolean)
		.map((text) => h("p", { class: "banner wrong", role: "alert" }, text));
}

function hosts(workers, list) {
	const counts = new Map();

	for (const instance of list) counts.set(instance.host, (counts.get(instance.host) ?? 0) + 1);
	const sorted = [...workers].sort(
		(a, b) => a.alive - b.alive || isBehind(b) - isBehind(a) || a.id.localeCompare(b.id),
	);

	return h(
		"section",
		{ class: "card" },
		h("h2", null, t("overview.health")),
		workerTable(t("overview.health"), sorted.slice(0, HOSTS), counts, true),
		workers.length > HOSTS &&
			h(
				"p",
				null,
				h("a", { href: "#/workers" }, t("overview.all-workers", { count: number(workers.length) })),
			),
	);
}

// { name: { id: sum } }
function sumUp(answers) {
	const sums = new Map();

	for (const answer of answers)
		for (const usage of answer.usages) {
			const kind = KIND_OF.get(usage.metric);
			const value = kind?.isGauge ? BigInt(Math.round(Number(usage.avg))) : big(usage.value);

			if (!kind || !value) continue;
			if (!sums.has(kind)) sums.set(kind, new Map());
			const of = sums.get(kind);
			of.set(answer.id, (of.get(answer.id) ?? 0n) + value);
		}
	return sums;
}

function topList(kind, sums, byId, seconds) {
	const top = [...(sums ?? [])].sort((a, b) => (a[1] < b[1] ? 1 : a[1] > b[1] ? -1 : 0)).slice(0, TOP);
	const most = Number(top[0]?.[1] ?? 1n);

	return h(
		"section",
		{ class: "card top", id: "top-" + kind.name },
		h("h3", null, t("overview.top." + kind.name)),
		top.length
			? h(
					"ol",
					null,
					top.map(([id, value]) =>
						h(
							"li",
							null,
							h("a", { href: instanceAddress(id) }, instanceName(byId.get(id) ?? { id })),
							h("span", { class: "amount" }, kind.show(value, seconds)),
							h(
								"span",
								{ class: "of" },
								byId.has(id)
									? `${projectName(byId.get(id))} · ${byId.get(id).host || t("none")}`
									: "",
							),
							h(
								"span",
								{ class: "meter", "aria-hidden": "true" },
								h("i", { style: { width: `${(100 * Number(value)) / most}%` } }),
							),
						),
					),
				)
			: h("p", { class: "quiet" }, t("overview.top.none")),
	);
}

function emptyState() {
	return h(
		"section",
		{ class: "state" },
		h("h2", null, t("overview.empty")),
		h("p", null, t("overview.empty.text")),
	);
}

export async function showOverview(root, { query, signal }) {
	const window = WINDOWS.includes(query.get("top")) ? query.get("top") : "now-1h";
	const health = h("div", { class: "health" }),
		tops = h("div", { class: "tops" }),
		note = h("p", { class: "stale", role: "status" });
	let before = null,
		list = [];

	async function showHealth() {
		const [status, answer, all] = await Promise.all([
			operator("/v1/status", signal),
			operator("/v1/workers", signal),
			instances(signal),
		]);
		const workers = answer?.workers ?? [];

		list = all;
		if (!status)
			replace(
				health,
				h("div", { class: "tiles" }, instancesTile(list)),
				h("p", { class: "quiet" }, t("overview.of-projects")),
			);
		else
			replace(
				health,
				problems(status, workers),
				h(
					"div",
					{ class: "tiles" },
					workersTile(status.workers),
					instancesTile(list),
					ingestTile(status, before),
					completeTile(workers),
				),
				workers.length > 0 && hosts(workers, list),
				!list.length && emptyState(),
			);
		before = status;
	}

	async function showTops() {
		const answer = await getExact(
			"/v1/usage",
			{ all: true, from: window, parameter: "total", metric: KINDS.flatMap((kind) => kind.metrics) },
			signal,
		);
		const begin = performance.now(),
			sums = sumUp(answer.instances),
			byId = new Map(list.map((instance) => [instance.id, instance]));
		const first = answer.instances[0],
			seconds = first ? Number(first.to) - Number(first.from) : 0;

		replace(
			tops,
			KINDS.map((kind) => topList(kind, sums.get(kind), byId, seconds)),
		);
		performance.measure("kanyun-tops", { start: begin });
	}

	await showHealth();
	const isEmpty = !list.length;
	const select = h(
		"select",
		{ id: "window", onchange: (event) => goTo("/", { top: event.target.value }) },
		WINDOWS.map((name) =>
			h("option", { value: name, selected: name === window }, t("overview.top." + name)),
		),
	);

	root.replaceChildren(
		h("h1", { tabindex: -1 }, t("overview.title")),
		note,
		health,
		isEmpty
			? ""
			: h(
					"section",
					{ "aria-labelledby": "tops" },
					h(
						"div",
						{ class: "row" },
						h("h2", { id: "tops" }, t("overview.top")),
						h("label", { class: "inline" }, t("overview.top.window"), select),
					),
					tops,
				),
	);
	if (!isEmpty) {
		tops.replaceChildren(loading());
		await showTops().catch((error) => {
			if (signal.aborted) throw error;
			tops.replaceChildren(problemBox(error, showTops));
		});
		every(TOP_MS, signal, note, showTops);
	}
	every(HEALTH_MS, signal, note, showHealth);
}
