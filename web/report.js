// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// What a project or an instance used, exactly, and how well that is known. All sums are of BigInt.

import { big, getCsv, getExact, instances } from "./api.js";
import { announce, h, loading, replace, table } from "./dom.js";
import {
	amount,
	day,
	instanceName,
	integer,
	metricName,
	minute,
	number,
	percent,
	projectName,
	reason,
	time,
} from "./format.js";
import { t } from "./text.js";
import { goTo, instanceAddress, problemBox } from "./view.js";

const PERIODS = {
	"this-month": ["this-month", "now"],
	"last-month": ["last-month", "this-month"],
	today: ["today", "now"],
	yesterday: ["yesterday", "today"],
	"now-7d": ["now-7d", "now"],
};
const METRICS = [
	"cpu",
	"nic_incoming",
	"nic_outgoing",
	"blk_read",
	"blk_write",
	"vmnetwork",
	"state_time",
	"vcpus_time",
	"memory_time",
	"disk_time",
];
const IN_EACH = ["cpu", "nic_incoming", "nic_outgoing", "blk_read", "blk_write", "vmnetwork", "vcpus_time"];
const REASONS_MAX = 12,
	HOSTS_MAX = 6;

// false if any is, null (not told) if any is and none is false.
function together(all) {
	return all.includes(false) ? false : all.includes(null) ? null : true;
}

// { metric, unit, value, uncertainty, coverage, complete, reasons } of several usages of one metric.
function addUp(usages) {
	const uncertainties = usages.map((usage) => big(usage.uncertainty));

	return {
		metric: usages[0].metric,
		unit: usages[0].unit,
		value: usages.reduce((sum, usage) => sum + big(usage.value), 0n),
		uncertainty: uncertainties.includes(null)
			? null
			: uncertainties.reduce((sum, value) => sum + value, 0n),
		coverage: Math.min(...usages.map((usage) => usage.coverage ?? 0)),
		complete: together(usages.map((usage) => usage.complete)),
	};
}

function totalsOf(answers) {
	return METRICS.map((name) =>
		answers.flatMap((answer) => answer.usages.filter((usage) => usage.metric === name)),
	)
		.filter((usages) => usages.length)
		.map(addUp);
}

const usedOf = (answer, metric) => answer.usages.find((usage) => usage.metric === metric);
const isIdle = (answer) => answer.usages.every((usage) => !big(usage.value));

// Workers that have not told yet are one reason, however many they are.
function silentText(silent) {
	const hosts = [...new Set(silent.map((why) => why.host))].sort(),
		since = Math.min(...silent.map((why) => Number(why.since)));
	const first = hosts.slice(0, HOSTS_MAX).join(", ") + (hosts.length > HOSTS_MAX ? " …" : "");

	return hosts.length > 1
		? t("reason.worker-silent.hosts", { count: number(hosts.length), host: first, since: time(since) })
		: reason(silent[0]);
}

// Each reason in words once, with the number of instances that have it; the most frequent first.
function reasonsOf(answers) {
	const counts = new Map(),
		silent = [];

	for (const answer of answers) {
		const whys = answer.usages.flatMap((usage) => usage.reasons ?? []);

		silent.push(...whys.filter((why) => why.reason === "worker-silent"));
		for (const text of new Set(whys.filter((why) => why.reason !== "worker-silent").map(reason)))
			counts.set(text, (counts.get(text) ?? 0) + 1);
	}
	return [...(silent.length ? [[silentText(silent), 1]] : []), ...[...counts].sort((a, b) => b[1] - a[1])];
}

function completeText(complete) {
	return complete === null ? t("not-told") : complete ? t("yes") : t("no");
}

function completeBadge(complete) {
	return h("span", { class: "badge " + (complete ? "good" : "doubt") }, completeText(complete));
}

function verdict(totals, reasons) {
	const complete = together(totals.map((total) => total.complete)),
		least = Math.min(...totals.map((total) => total.coverage));
	const text =
		complete === false
			? t("report.incomplete")
			: complete === null
				? t("report.legacy")
				: least < 1
					? t("report.complete.part", { percent: percent(least) })
					: t("report.complete");

	return h(
		"section",
		{ class: "banner " + (complete && least === 1 ? "good" : "doubt"), id: "verdict" },
		h("p", null, h("strong", null, text)),
		reasons.length > 0 &&
			h(
				"details",
				{ open: reasons.length <= 3 },
				h("summary", null, t("report.why")),
				h(
					"ul",
					null,
					reasons
						.slice(0, REASONS_MAX)
						.map(([words, count]) =>
							h(
								"li",
								null,
								words,
								count > 1 &&
									h(
										"span",
										{ class: "quiet" },
										" " + t("report.why.times", { count: number(count) }),
									),
							),
						),
					reasons.length > REASONS_MAX &&
						h("li", null, t("report.why.more", { count: number(reasons.length - REASONS_MAX) })),
				),
			),
	);
}

function totalTable(totals) {
	return table(
		t("report.totals"),
		[
			{ label: t("report.metric"), cell: (total) => metricName(total.metric) },
			{
				label: t("report.amount"),
				number: true,
				cell: (total) => h("strong", null, amount(total.value, total.unit)),
			},
			{
				label: t("report.exact"),
				number: true,
				cell: (total) =>
					h("data", { value: total.value, "data-metric": total.metric }, integer(total.value)),
			},
			{ label: t("report.unit"), cell: (total) => total.unit },
			{
				label: t("report.uncertainty"),
				number: true,
				cell: (total) =>
					total.uncertainty === null ? t("not-told") : amount(total.uncertainty, total.unit),
			},
			{ label: t("report.coverage"), number: true, cell: (total) => percent(total.coverage) },
			{ label: t("report.completes"), cell: (total) => completeBadge(total.complete) },
		],
		totals,
		{ isStacked: true },
	);
}

function eachTable(answers, byId, totals) {
	const shown = IN_EACH.filter((name) => totals.some((total) => total.metric === name));
	const sorted = answers
		.filter((answer) => !isIdle(answer))
		.sort((a, b) => {
			const [x, y] = [a, b].map((answer) => big(usedOf(answer, "cpu")?.value ?? 0));

			return x < y ? 1 : x > y ? -1 : 0;
		});

	return [
		table(
			t("report.each"),
			[
				{
					label: t("instances.name"),
					cell: (answer) =>
						h(
							"a",
							{ href: instanceAddress(answer.id) },
							instanceName(byId.get(answer.id) ?? answer),
						),
				},
				...shown.map((name) => ({
					label: metricName(name),
					number: true,
					cell: (answer) => {
						const usage = usedOf(answer, name);

						return usage
							? h(
									"span",
									{ title: `${integer(usage.value)} ${usage.unit}` },
									amount(usage.value, usage.unit),
								)
							: t("none");
					},
				})),
				{
					label: t("report.coverage"),
					number: true,
					cell: (answer) => percent(Math.min(...answer.usages.map((usage) => usage.coverage ?? 0))),
				},
				{
					label: t("report.completes"),
					cell: (answer) => completeBadge(together(answer.usages.map((usage) => usage.complete))),
				},
			],
			sorted,
		),
		answers.length > sorted.length &&
			h("p", { class: "quiet" }, t("report.idle", { count: number(answers.length - sorted.length) })),
	];
}

function fileName(what, from) {
	return `kanyun-${what.replace(/[^\p{L}\p{N}.-]+/gu, "-")}-${day(from).slice(0, 10)}.csv`;
}

// What is shown, of the same window, as the API's own file.
async function download(button, question, name) {
	try {
		const url = URL.createObjectURL(await getCsv("/v1/usage", question));

		h("a", { href: url, download: name }).click();
		setTimeout(() => URL.revokeObjectURL(url), 10000);
		announce(t("report.downloaded"));
	} catch (error) {
		button.after(problemBox(error));
	}
}

// By id, or by a name that the instance is known by.
function instanceOf(list, text) {
	return (
		list.find((instance) => instance.id === text) ??
		list.find((instance) => [instance.display_name, instance.name].includes(text))
	);
}

function projectsOf(list) {
	const projects = new Map(
		list
			.filter((instance) => instance.project_id)
			.map((instance) => [instance.project_id, projectName(instance)]),
	);

	return [...projects].sort((a, b) => a[1].localeCompare(b[1], undefined, { numeric: true }));
}

function form(list, chosen) {
	const option = (value, label, selected) => h("option", { value, selected: value === selected }, label);
	const field = (label, control) => h("label", { class: "field" }, h("span", null, label), control);
	const project = h(
		"select",
		{ name: "project", id: "project" },
		option("", t("report.all"), chosen.project),
		projectsOf(list).map(([id, name]) =>
			option(id, name === id ? id : `${name} (${id})`, chosen.project),
		),
	);
	const instance = h("input", {
		name: "instance",
		id: "instance",
		list: "names",
		value: chosen.instance,
		placeholder: t("report.instance.hint"),
		maxlength: 200,
	});
	const period = h(
		"select",
		{ name: "period", id: "period" },
		[...Object.keys(PERIODS), "custom"].map((name) =>
			option(name, t("report.period." + name), chosen.period),
		),
	);
	const custom = ["from", "to"].map((name) =>
		field(
			t("report." + name),
			h("input", { type: "datetime-local", name, id: name, value: chosen[name], required: true }),
		),
	);
	const kind = (value, label) =>
		h(
			"label",
			{ class: "inline" },
			h("input", {
				type: "radio",
				name: "of",
				value,
				id: "of-" + value,
				checked: (value === "instance") === Boolean(chosen.instance),
			}),
			label,
		);
	const fieldOfProject = field(t("report.project"), project),
		fieldOfInstance = field(t("report.instance"), instance);

	function settle() {
		const isInstance = element.elements.of.value === "instance";

		fieldOfProject.hidden = isInstance;
		fieldOfInstance.hidden = !isInstance;
		instance.required = isInstance;
		for (const each of custom) {
			each.hidden = period.value !== "custom";
			each.querySelector("input").disabled = each.hidden;
		}
	}

	const element = h(
		"form",
		{
			class: "card form",
			id: "report-form",
			onchange: settle,
			onsubmit: (event) => {
				event.preventDefault();
				const isInstance = element.elements.of.value === "instance",
					isCustom = period.value === "custom";

				goTo("/report", {
					period: period.value,
					...(isInstance ? { instance: instance.value.trim() } : { project: project.value || "*" }),
					...(isCustom ? { from: element.elements.from.value, to: element.elements.to.value } : {}),
				});
			},
		},
		h(
			"fieldset",
			null,
			h("legend", null, t("report.what")),
			kind("project", t("report.project")),
			kind("instance", t("report.instance")),
		),
		fieldOfProject,
		fieldOfInstance,
		field(t("report.period"), period),
		custom,
		h("button", { class: "strong", id: "show" }, t("report.show")),
		h(
			"datalist",
			{ id: "names" },
			list.slice(0, 2000).map((each) => h("option", { value: each.id }, instanceName(each))),
		),
	);
	settle();
	return element;
}

function questionOf(chosen, list) {
	const [from, to] = PERIODS[chosen.period] ?? [chosen.from, chosen.to];
	const which = chosen.instance
		? { id: instanceOf(list, chosen.instance)?.id ?? chosen.instance }
		: chosen.project === "*"
			? { all: true }
			: { project: chosen.project };

	return { ...which, from, to, metric: METRICS, parameter: "total" };
}

function result(chosen, list, question, answers) {
	const byId = new Map(list.map((instance) => [instance.id, instance])),
		totals = totalsOf(answers);
	const ofInstance = chosen.instance && (byId.get(answers[0]?.id) ?? { id: chosen.instance });
	const ofProject = list.find((instance) => instance.project_id === chosen.project);
	const what = ofInstance
		? instanceName(ofInstance)
		: chosen.project === "*"
			? t("report.all")
			: ofProject
				? projectName(ofProject)
				: chosen.project;

	if (!answers.some((answer) => !isIdle(answer)))
		return h(
			"section",
			{ class: "state", id: "nothing" },
			h("h2", null, t("report.of", { what })),
			h("p", null, t("report.nothing")),
		);
	const { from, to } = answers[0];

	return [
		h(
			"div",
			{ class: "row" },
			h(
				"div",
				null,
				h("h2", { id: "result", tabindex: -1 }, t("report.of", { what })),
				h("p", { class: "quiet" }, t("report.window", { from: minute(from), to: minute(to) })),
			),
			h(
				"button",
				{
					type: "button",
					id: "download",
					onclick: (event) =>
						download(event.target, { ...question, from, to }, fileName(what, from)),
				},
				t("report.download"),
			),
		),
		verdict(totals, reasonsOf(answers)),
		h("section", { class: "card" }, totalTable(totals)),
		!chosen.instance && h("section", { class: "card" }, eachTable(answers, byId, totals)),
	];
}

export async function showReport(root, { query, signal }) {
	const list = await instances(signal),
		chosen = { period: "this-month", project: "", instance: "", from: "", to: "" };
	const place = h("div", { id: "answer" });

	for (const name of Object.keys(chosen)) chosen[name] = query.get(name) ?? chosen[name];
	root.replaceChildren(h("h1", { tabindex: -1 }, t("report.title")), form(list, chosen), place);
	if (!chosen.project && !chosen.instance) {
		replace(place, h("p", { class: "state" }, t(list.length ? "report.start" : "overview.empty")));
		return;
	}
	const question = questionOf(chosen, list);
	const load = async () => {
		replace(place, loading());
		try {
			const { instances: answers } = await getExact("/v1/usage", question, signal);

			replace(place, result(chosen, list, question, answers));
			document.getElementById("result")?.focus({ preventScroll: true });
		} catch (error) {
			if (!signal.aborted) replace(place, problemBox(error, load));
		}
	};

	await load();
}
