// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// One instance: what it used over time, what happened to it, where it was.
//
// Plots show the mean rate of each step, which is usage divided by time: exact where steps end on samples. A
// step without any reading is a gap, although a counter bridges it.

import { get, getExact } from "./api.js";
import { h, replace, table } from "./dom.js";
import {
	ago,
	amount,
	bytes,
	bytesPerSecond,
	duration,
	instanceName,
	number,
	projectName,
	stateName,
	time,
} from "./format.js";
import { makePlot } from "./plot.js";
import { t } from "./text.js";
import { address, every, goTo, instanceAddress } from "./view.js";

const POINTS = 240,
	STEPS = [10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];
const RANGES = ["now-1h", "now-6h", "now-1d", "now-7d", "now-30d"],
	SECONDS = { m: 60, h: 3600, d: 86400 };
const SPAN_MIN = 60,
	AGAIN_MS = 10000,
	SILENT_SECONDS = 300;

const percentOfCore = (value) => number(value, value && value < 10 ? 1 : 0) + " %";

// value(step): of a map of metric to usage, a rate or an amount, or null.
const rate =
	(metric, scale = 1) =>
	(step) => {
		const usage = step.get(metric);

		return usage && usage.covered_ms > 0
			? ((Number(usage.value) * 1000) / usage.covered_ms) * scale
			: null;
	};
const level = (metric) => (step) => (step.has(metric) ? Number(step.get(metric).avg) * 1024 : null);
const memoryUsed = (step) => {
	const current = level("mem_current")(step) ?? level("mem_max")(step),
		free = level("mem_free")(step);

	return current === null || free === null ? null : current - free;
};

const series = (key, color, value) => ({ key, color, value });
const PLOTS = [
	{ name: "cpu", group: "cpu", format: percentOfCore, series: [series("cpu", "c1", rate("cpu", 1e-7))] },
	{
		name: "memory",
		group: "mem",
		format: bytes,
		series: [
			series("mem_max", "c3", level("mem_max")),
			series("mem_used", "c1", memoryUsed),
			series("mem_rss", "c2", level("mem_rss")),
		],
	},
	{
		name: "network",
		group: "nic",
		format: bytesPerSecond,
		series: [series("in", "c1", rate("nic_incoming")), series("out", "c2", rate("nic_outgoing"))],
	},
	{
		name: "disk",
		group: "blk",
		format: bytesPerSecond,
		series: [series("read", "c1", rate("blk_read")), series("write", "c2", rate("blk_write"))],
	},
	{
		name: "external",
		group: "vmnetwork",
		format: bytesPerSecond,
		series: [
			series("both", "c3", rate("vmnetwork")),
			series("in", "c1", rate("vmnetwork_in")),
			series("out", "c2", rate("vmnetwork_out")),
		],
	},
];
const METRICS = {
	cpu: ["cpu"],
	mem: ["mem_max", "mem_current", "mem_free", "mem_rss"],
	nic: ["nic_incoming", "nic_outgoing"],
	blk: ["blk_read", "blk_write"],
	vmnetwork: ["vmnetwork", "vmnetwork_in", "vmnetwork_out"],
	state: ["state"],
};

// now-1h, or seconds.
function secondsOf(text, now) {
	const found = /^now-(\d+)([mhd])$/.exec(text);

	return found ? now - Number(found[1]) * SECONDS[found[2]] : Number(text);
}

// { from, to, isLive, word } of the address.
function rangeOf(query) {
	const now = Math.floor(Date.now() / 1000),
		word = query.get("from") ?? "now-1h";
	const to = query.has("to") ? Number(query.get("to")) : now,
		from = secondsOf(word, now);
	const isGood = Number.isFinite(from) && Number.isFinite(to) && from >= 0;

	return isGood
		? { from: Math.min(from, to - SPAN_MIN), to, isLive: !query.has("to"), word }
		: { from: now - 3600, to: now, isLive: true, word: "now-1h" };
}

// How far apart readings are: the median of the last ones.
async function intervalOf(instance, signal) {
	if (!instance.metrics.includes("state") || !instance.last) return 60;
	const answer = await get(
		"/v1/samples",
		{ id: instance.id, metric: "state", from: instance.last - 600, to: instance.last + 1 },
		signal,
	);
	const times = answer.instances
		.flatMap((each) => each.series.flatMap((one) => one.samples.map(([at]) => Number(at))))
		.sort((a, b) => a - b);
	const apart = times
		.slice(1)
		.map((at, i) => at - times[i])
		.filter((seconds) => seconds >= 1)
		.sort((a, b) => a - b);

	return apart.length ? apart[apart.length >> 1] : 60;
}

function stepOf(range, interval) {
	const least = Math.max((range.to - range.from) / POINTS, interval);

	return STEPS.find((step) => step >= least) ?? Math.ceil(least / 86400) * 86400;
}

// [{ from, to, usages: Map }], without values in what lies in no step.
async function readSteps(instance, range, step, signal) {
	const from = Math.floor(range.from / step) * step,
		to = Math.min(range.to, Math.floor(Date.now() / 1000));
	const metrics = instance.metrics.flatMap((group) => METRICS[group] ?? []),
		steps = new Map();

	if (to <= from || !metrics.length) return [];
	for (let at = from; at < to; at += step) steps.set(at, new Map());
	const answer = await getExact(
		"/v1/usage",
		{ id: instance.id, from, to, step, parameter: "total", metric: metrics },
		signal,
	);
	for (const usage of answer.instances[0]?.usages ?? [])
		steps.get(Math.round(Number(usage.from)))?.set(usage.metric, usage);
	const isRead = (usages) =>
		instance.metrics.includes("state")
			? usages.has("state")
			: [...usages.values()].some((usage) => (usage.coverage ?? 1) > 0.5);

	return [...steps].map(([at, usages]) => ({
		from: at,
		to: Math.min(at + step, to),
		usages,
		isRead: isRead(usages),
	}));
}

// Spans of steps without readings. What is not over yet, or was before the instance, is none.
function gapsOf(steps, instance) {
	const gaps = [];

	for (const step of steps) {
		if (step.isRead || step.to <= instance.first || step.from >= instance.last) continue;
		if (gaps.at(-1)?.to === step.from) gaps.at(-1).to = step.to;
		else gaps.push({ from: step.from, to: step.to });
	}
	return gaps;
}

const SHADES = { paused: "paused", pmsuspended: "paused", shutoff: "off", crashed: "off", shutdown: "off" };

function shadesOf(states, gaps, to) {
	const shades = states.flatMap((state, i) =>
		SHADES[state.state]
			? [{ from: Number(state.at), to: Number(states[i + 1]?.at ?? to), kind: SHADES[state.state] }]
			: [],
	);

	return [...shades, ...gaps.map((gap) => ({ ...gap, kind: "gap" }))];
}

function shadeKeys() {
	const key = (kind, text) =>
		h(
			"span",
			{ class: "key" },
			h("i", { class: "of-" + kind, style: { background: `var(--shade-${kind})` } }),
			text,
		);

	return h(
		"p",
		{ class: "legend" },
		key("paused", t("state.paused")),
		key("off", t("state.shutoff")),
		key("gap", t("instance.gap")),
	);
}

// A run that goes on where one on another host ends is one migration.
function migrationsOf(runs) {
	const found = new Map();

	runs.forEach((run, i) => {
		const before = runs
			.slice(0, i)
			.reverse()
			.find(
				(other) =>
					other.host !== run.host &&
					(other.end === null || Number(other.end) >= Number(run.begin) - 60),
			);

		if (before) found.set(run, before);
	});
	return found;
}

// [{ at, kind, label (short), text }] in the order of time.
function eventsOf(told, gaps, range) {
	const runs = [...told.runs].sort((a, b) => a.begin - b.begin),
		migrations = migrationsOf(runs),
		left = new Set(migrations.values());
	const events = [];
	const add = (at, kind, label, text) => {
		if (at !== null && at >= range.from && at <= range.to)
			events.push({ at: Number(at), kind, label, text });
	};

	for (const run of runs) {
		const before = migrations.get(run);

		if (before)
			add(
				run.begin,
				"migration",
				"→ " + run.host,
				t("instance.event.migrate", { from: before.host, to: run.host }),
			);
		else
			add(
				run.begin,
				"run",
				"▶",
				t(run.is_begin_known ? "instance.event.begin" : "instance.event.appear", { host: run.host }),
			);
		if (!left.has(run)) add(run.end, "run", "■", t("instance.event.end", { host: run.host }));
	}
	for (const state of told.states.filter(
		(state) => state.state !== "running" || !runs.some((run) => Math.abs(run.begin - state.at) < 60),
	))
		if (!(state.state === "shutoff" && runs.some((run) => left.has(run) && run.host === state.host)))
			add(
				state.at,
				"state",
				stateName(state.state),
				t("instance.event.state", { state: stateName(state.state), host: state.host }),
			);
	told.history.forEach((info, i) => {
		const old = told.history[i - 1];

		if (old && (old.flavor_name !== info.flavor_name || old.project_id !== info.project_id))
			add(
				info.since,
				"info",
				info.flavor_name,
				t("instance.event.info", {
					flavor: info.flavor_name || t("none"),
					project: projectName(info),
				}),
			);
	});
	for (const gap of gaps)
		add(gap.from, "gap", "", t("instance.event.gap", { span: duration(gap.to - gap.from) }));
	return events.sort((a, b) => a.at - b.at);
}

function stateBadge(told) {
	const last = told.states.at(-1)?.state,
		isSilent = !told.last || Date.now() / 1000 - told.last > SILENT_SECONDS;

	if (isSilent && last !== "shutoff")
		return h(
			"span",
			{ class: "badge doubt", id: "state" },
			t("state.unknown"),
			" · ",
			ago(Date.now() / 1000 - (told.last ?? 0)),
		);
	return h(
		"span",
		{ class: "badge " + (last === "running" ? "good" : "doubt"), id: "state" },
		stateName(last ?? "unknown"),
	);
}

function facts(told) {
	const fact = (label, ...value) => h("div", null, h("dt", null, label), h("dd", null, ...value));
	const sizes = [
		told.vcpus >= 0 && told.vcpus !== null && `${told.vcpus} vCPU`,
		told.memory_mib && bytes(told.memory_mib * 1048576),
		told.disk_gib && bytes(told.disk_gib * 1073741824),
	]
		.filter(Boolean)
		.join(" · ");
	const addresses = (told.ports ?? []).flatMap((port) => port.addresses).join(", ");

	return h(
		"dl",
		{ class: "facts" },
		fact(t("instances.id"), h("code", null, told.id)),
		fact(t("instances.host"), told.host || t("none")),
		fact(
			t("instances.project"),
			told.project_id
				? h("a", { href: address("/report", { project: told.project_id }) }, projectName(told))
				: t("none"),
		),
		fact(
			t("instances.flavor"),
			told.flavor_name || t("none"),
			sizes && h("span", { class: "quiet" }, " " + sizes),
		),
		fact(t("instances.addresses"), addresses || t("none")),
		fact(t("instance.first"), time(told.first)),
		fact(t("instances.last"), told.last ? ago(Date.now() / 1000 - told.last) : t("none")),
	);
}

function historyTable(told) {
	return h(
		"section",
		{ class: "card" },
		table(
			t("instance.history"),
			[
				{ label: t("instance.since"), cell: (info) => time(info.since) },
				{ label: t("instances.host"), cell: (info) => info.host || t("none") },
				{ label: t("instances.flavor"), cell: (info) => info.flavor_name || t("none") },
				{ label: t("instance.vcpus"), number: true, cell: (info) => info.vcpus ?? t("none") },
				{
					label: t("instance.memory-size"),
					number: true,
					cell: (info) => (info.memory_mib === null ? t("none") : bytes(info.memory_mib * 1048576)),
				},
				{
					label: t("instance.disk-size"),
					number: true,
					cell: (info) => (info.disk_gib === null ? t("none") : bytes(info.disk_gib * 1073741824)),
				},
				{ label: t("instances.project"), cell: projectName },
			],
			[...told.history].reverse(),
		),
	);
}

function runTable(told) {
	return h(
		"section",
		{ class: "card" },
		table(
			t("instance.runs"),
			[
				{
					label: t("instance.begin"),
					cell: (run) =>
						run.is_begin_known
							? time(run.begin)
							: t("instance.begin.unknown", { at: time(run.begin) }),
				},
				{
					label: t("instance.end"),
					cell: (run) => (run.end === null ? t("instance.still") : time(run.end)),
				},
				{ label: t("instances.host"), cell: (run) => run.host },
			],
			[...told.runs].sort((a, b) => b.begin - a.begin),
		),
	);
}

function eventTable(events) {
	if (!events.length)
		return h(
			"section",
			{ class: "card" },
			h("h2", null, t("instance.timeline")),
			h("p", { class: "quiet" }, t("instance.timeline.none")),
		);
	return h(
		"section",
		{ class: "card", id: "events" },
		table(
			t("instance.timeline"),
			[
				{ label: t("instance.time"), cell: (event) => time(event.at) },
				{
					label: t("instance.event"),
					cell: (event) =>
						h(
							"span",
							{ class: "words" },
							h("i", { class: "dot of-" + event.kind, "aria-hidden": "true" }),
							event.text,
						),
				},
			],
			events,
		),
	);
}

// The values of the last readings.
async function nowTiles(instance, interval, signal) {
	const span = Math.max(60, 2 * interval),
		metrics = instance.metrics.flatMap((group) => METRICS[group] ?? []);

	if (!instance.last || !metrics.length) return null;
	const answer = await getExact(
		"/v1/usage",
		{
			id: instance.id,
			from: instance.last - span,
			to: instance.last + 0.001,
			parameter: "total",
			metric: metrics,
		},
		signal,
	);
	const usages = new Map((answer.instances[0]?.usages ?? []).map((usage) => [usage.metric, usage]));
	const tiles = PLOTS.filter((plot) => instance.metrics.includes(plot.group)).map((plot) =>
		h(
			"div",
			{ class: "tile small" },
			h("h3", null, t("instance." + plot.name)),
			plot.series
				.map((each) => [t("instance.series." + each.key), each.value(usages)])
				.filter(([, value]) => value !== null)
				.map(([label, value], i, all) =>
					h(
						"p",
						{ class: all.length === 1 ? "value" : "pair" },
						all.length > 1 && h("span", { class: "quiet" }, label + " "),
						h("span", null, plot.format(value)),
					),
				),
		),
	);

	return [
		h("div", { class: "tiles" }, tiles),
		h("p", { class: "quiet" }, t("instance.now.over", { span: duration(span), to: time(instance.last) })),
	];
}

// Moves and zooms by buttons and keys: [factor of the span, shift in spans].
const MOVES = { earlier: [1, -0.5], later: [1, 0.5], "zoom-in": [0.5, 0], "zoom-out": [2, 0] };
const KEYS = { ArrowLeft: "earlier", ArrowRight: "later", "+": "zoom-in", "=": "zoom-in", "-": "zoom-out" };

function move(id, range, name) {
	const [factor, shift] = MOVES[name],
		now = Math.floor(Date.now() / 1000),
		span = Math.max(SPAN_MIN, (range.to - range.from) * factor);
	const middle = (range.from + range.to) / 2 + shift * (range.to - range.from),
		to = Math.min(Math.round(middle + span / 2), now);

	goTo("/instance/" + encodeURIComponent(id), {
		from: String(Math.max(0, Math.round(to - span))),
		to: to >= now - 1 ? "" : String(to),
	});
}

function controls(id, range) {
	return h(
		"div",
		{ class: "controls", role: "group", "aria-label": t("instance.range") },
		h(
			"div",
			{ class: "segments" },
			RANGES.map((word) =>
				h(
					"a",
					{
						href: instanceAddress(id, { from: word }),
						"aria-current": range.isLive && range.word === word && "true",
					},
					t("instance.range." + word),
				),
			),
		),
		h(
			"div",
			{ class: "segments" },
			Object.entries({ earlier: "‹", "zoom-out": "−", "zoom-in": "+", later: "›" }).map(
				([name, sign]) =>
					h(
						"button",
						{
							type: "button",
							id: name,
							title: t("instance." + name),
							"aria-label": t("instance." + name),
							onclick: () => move(id, range, name),
						},
						sign,
					),
			),
		),
	);
}

export async function showInstance(root, { argument, query, signal }) {
	const range = rangeOf(query),
		note = h("p", { class: "stale", role: "status" });
	const [told] = await Promise.all([
		get("/v1/instances/" + encodeURIComponent(argument), null, signal),
		import("./dygraph.min.js"),
	]);
	const id = told.id,
		interval = await intervalOf(told, signal),
		step = stepOf(range, interval);
	const now = h("div", { id: "now" }),
		head = h("div", { class: "head" }),
		after = h("div");
	const shown = h("p", { class: "quiet", id: "shown" }),
		plots = [];

	for (const plot of PLOTS.filter((each) => told.metrics.includes(each.group)))
		plots.push({
			...plot,
			drawn: makePlot({
				name: plot.name,
				title: t("instance." + plot.name),
				series: plot.series.map((each) => ({
					label: t("instance.series." + each.key),
					color: each.color,
				})),
				format: plot.format,
				isBinary: plot.format !== percentOfCore,
				onHover: (row) =>
					plots
						.filter((other) => other.name !== plot.name)
						.forEach((other) => other.drawn.select(row)),
				onZoom: (from, to) =>
					goTo("/instance/" + encodeURIComponent(id), {
						from: String(Math.floor(from)),
						to: String(Math.max(Math.ceil(to), Math.floor(from) + SPAN_MIN)),
					}),
			}),
		});
	signal.addEventListener("abort", () => plots.forEach((plot) => plot.drawn.end()), { once: true });

	async function fill(fresh) {
		const here = range.isLive ? rangeOf(query) : range,
			steps = await readSteps(fresh, here, step, signal);
		const tiles = await nowTiles(fresh, interval, signal),
			gaps = gapsOf(steps, fresh);
		const states = [...fresh.states].sort((a, b) => a.at - b.at),
			events = eventsOf({ ...fresh, states }, gaps, here);

		replace(
			head,
			h(
				"div",
				{ class: "row" },
				h("h1", { tabindex: -1 }, instanceName(fresh), " ", stateBadge({ ...fresh, states })),
				h(
					"a",
					{ class: "button", href: address("/report", { instance: id, period: "this-month" }) },
					t("instance.report"),
				),
			),
			facts(fresh),
		);
		replace(now, h("h2", null, t("instance.now")), tiles);
		replace(
			shown,
			t("instance.shown", { from: time(here.from), to: time(here.to), step: duration(step) }),
		);
		for (const plot of plots)
			plot.drawn.update({
				from: here.from,
				to: here.to,
				marks: events.filter((event) => event.kind !== "gap"),
				shades: shadesOf(states, gaps, here.to),
				points: steps.map((one) => [
					(one.from + one.to) * 500,
					...plot.series.map((each) => (one.isRead ? each.value(one.usages) : null)),
				]),
			});
		replace(after, eventTable(events), historyTable(fresh), runTable(fresh));
	}

	const figures = h(
		"div",
		{
			class: "figures",
			tabindex: 0,
			role: "group",
			"aria-label": t("instance.hint"),
			onkeydown: (event) => {
				if (
					KEYS[event.key] &&
					!event.ctrlKey &&
					!event.altKey &&
					!event.metaKey &&
					event.target === figures
				) {
					event.preventDefault();
					move(id, range, KEYS[event.key]);
				}
			},
		},
		plots.map((plot) => plot.drawn.element),
	);

	document.title = instanceName(told) + " · kanyun";
	root.replaceChildren(
		head,
		note,
		now,
		h("div", { class: "row" }, controls(id, range), h("p", { class: "quiet hint" }, t("instance.hint"))),
		h("div", { class: "row" }, shown, shadeKeys()),
		figures,
		after,
	);
	await fill(told);
	if (range.isLive)
		every(AGAIN_MS, signal, note, async () =>
			fill(await get("/v1/instances/" + encodeURIComponent(id), null, signal)),
		);
}
