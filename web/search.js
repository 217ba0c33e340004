// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// Finds instances by what people know of them. Every word must be found somewhere.

import { instances } from "./api.js";
import { h, replace, table } from "./dom.js";
import { ago, instanceName, number, projectName, time } from "./format.js";
import { t } from "./text.js";
import { address, instanceAddress } from "./view.js";

const PAGE = 100;

function addressesOf(instance) {
	return (instance.ports ?? []).flatMap((port) => port.addresses);
}

function wordsOf(instance) {
	return [
		instance.id,
		instance.name,
		instance.display_name,
		instance.project_id,
		instance.project_name,
		instance.host,
		instance.user_name,
		instance.flavor_name,
		...addressesOf(instance),
		...(instance.ports ?? []).map((port) => port.mac),
	]
		.filter(Boolean)
		.join("\n")
		.toLowerCase();
}

export function find(list, query) {
	const words = query.toLowerCase().split(/\s+/).filter(Boolean);

	return list.filter((instance) => {
		const text = wordsOf(instance);

		return words.every((word) => text.includes(word));
	});
}

function results(list) {
	return table(
		t("instances.title"),
		[
			{
				label: t("instances.name"),
				cell: (instance) => h("a", { href: instanceAddress(instance.id) }, instanceName(instance)),
			},
			{
				label: t("instances.project"),
				cell: (instance) =>
					instance.project_id
						? h(
								"a",
								{ href: address("/report", { project: instance.project_id }) },
								projectName(instance),
							)
						: t("none"),
			},
			{ label: t("instances.host"), cell: (instance) => instance.host || t("none") },
			{ label: t("instances.flavor"), cell: (instance) => instance.flavor_name || t("none") },
			{
				label: t("instances.addresses"),
				cell: (instance) => addressesOf(instance).join(", ") || t("none"),
			},
			{
				label: t("instances.last"),
				cell: (instance) =>
					instance.last
						? h("time", { title: time(instance.last) }, ago(Date.now() / 1000 - instance.last))
						: t("none"),
			},
			{
				label: t("instances.id"),
				cell: (instance) => h("code", { title: instance.name }, instance.id),
			},
		],
		list,
		{ isHidden: true },
	);
}

export async function showSearch(root, { query, signal }) {
	const text = query.get("q") ?? "",
		all = await instances(signal),
		place = h("div");
	const found = find(all, text).sort((a, b) =>
		instanceName(a).localeCompare(instanceName(b), undefined, { numeric: true }),
	);

	document.getElementById("query").value = text;
	signal.addEventListener(
		"abort",
		() => {
			document.getElementById("query").value = "";
		},
		{ once: true },
	);

	function fill(most) {
		const left = Math.min(PAGE, found.length - most);

		replace(
			place,
			h(
				"section",
				{ class: "card" },
				results(found.slice(0, most)),
				left > 0 &&
					h(
						"p",
						null,
						h(
							"button",
							{ type: "button", id: "more", onclick: () => fill(most + PAGE) },
							t("instances.more", { count: left }),
						),
					),
			),
		);
	}

	root.replaceChildren(
		h("h1", { tabindex: -1 }, t("instances.title")),
		all.length
			? h(
					"p",
					{ role: "status", id: "found" },
					t("instances.found", { count: number(found.length), total: number(all.length) }),
				)
			: "",
		place,
	);
	if (found.length) fill(PAGE);
	else if (all.length)
		replace(
			place,
			h(
				"section",
				{ class: "state" },
				h("h2", null, t("instances.none", { query: text })),
				h("p", null, t("instances.none.hint")),
			),
		);
	else
		replace(
			place,
			h(
				"section",
				{ class: "state" },
				h("h2", null, t("overview.empty")),
				h("p", null, t("overview.empty.text")),
			),
		);
}
