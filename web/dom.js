// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// Elements are made of text nodes and attributes only: a name that an instance carries is never markup.

import { t } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes ?? {})) {
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name === "style")
			Object.assign(element.style, value); // by CSSOM: the policy forbids the attribute
		else if (value === true) element.setAttribute(name, "");
		else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
	}
	element.append(
		...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false),
	);
	return element;
}

export function h(tag, attributes, ...children) {
	return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
	return fill(document.createElementNS(SVG, tag), attributes, children);
}

const keyOf = (element) => element.id || element.getAttribute("href") || element.name;

// Puts new content into a node; what had the focus in it still has it.
export function replace(node, ...children) {
	const active = node.contains(document.activeElement) ? keyOf(document.activeElement) : null;

	node.replaceChildren(...children.flat(9).filter(Boolean));
	if (active)
		[...node.querySelectorAll("a, button, input, select, [tabindex]")]
			.find((element) => keyOf(element) === active)
			?.focus({ preventScroll: true });
}

// What stands there until something comes; where that takes long, it says so (style.css).
export function loading() {
	return h(
		"p",
		{ class: "loading", role: "status" },
		t("loading"),
		h("span", { class: "later" }, " " + t("loading.slow")),
	);
}

// For those who do not see that something changed.
export function announce(text) {
	document.getElementById("live").textContent = text;
}

// columns: [{ label, number, cell(row) }]; the first column heads its row. On a narrow screen, rows that are
// stacked have each cell in a line of its own, for a figure that is cut off reads as another one; the roles
// say that it still is a table.
export function table(caption, columns, rows, more = {}) {
	const head = h(
		"tr",
		{ role: "row" },
		columns.map((column) =>
			h("th", { scope: "col", role: "columnheader", class: column.number && "number" }, column.label),
		),
	);
	const body = rows.map((row) =>
		h(
			"tr",
			{ class: more.rowClass?.(row), role: "row" },
			columns.map((column, i) =>
				h(
					i ? "td" : "th",
					{
						scope: i ? null : "row",
						role: i ? "cell" : "rowheader",
						class: column.number && "number",
						"data-label": column.label,
					},
					column.cell(row),
				),
			),
		),
	);

	return h(
		"div",
		{ class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
		h(
			"table",
			{ role: "table", class: more.isStacked && "stacked" },
			h("caption", { class: more.isHidden && "hidden" }, caption),
			h("thead", { role: "rowgroup" }, head),
			h("tbody", { role: "rowgroup" }, body),
		),
	);
}
