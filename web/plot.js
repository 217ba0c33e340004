// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// One plot over time, drawn by dygraphs (https://dygraphs.com, Debian's libjs-dygraphs). What it shows is
// also there as words and as a table.

import { h, replace, table } from "./dom.js";
import { time } from "./format.js";
import { t } from "./text.js";

const dark = matchMedia("(prefers-color-scheme: dark)"),
	coarse = matchMedia("(pointer: coarse)");
const LABEL_SPACE = 6,
	LABEL_HEIGHT = 13;

function colorOf(name) {
	return getComputedStyle(document.documentElement)
		.getPropertyValue("--" + name)
		.trim();
}

// As times are written elsewhere on the page: the day at midnight, else the time of day.
function tickText(date) {
	const text = time(date / 1000);

	if (text.endsWith("00:00:00")) return text.slice(5, 10);
	return text.slice(11).replace(/:00$/, "");
}

// Behind the lines: shades (off, paused, no readings), then marks with their words where there is room.
function drawBehind(canvas, area, graph, shown) {
	for (const { from, to, kind } of shown.shades) {
		const left = Math.max(graph.toDomXCoord(from * 1000), area.x),
			right = Math.min(graph.toDomXCoord(to * 1000), area.x + area.w);

		canvas.fillStyle = colorOf("shade-" + kind);
		if (right > left) canvas.fillRect(left, area.y, right - left, area.h);
	}
	canvas.font = "11px system-ui, sans-serif";
	canvas.textBaseline = "top";
	const free = [area.x, area.x]; // of two rows of words
	for (const { at, label, kind } of shown.marks) {
		const x = Math.round(graph.toDomXCoord(at * 1000)) + 0.5,
			width = canvas.measureText(label).width;

		canvas.strokeStyle = canvas.fillStyle = colorOf("mark-" + kind);
		canvas.setLineDash([3, 3]);
		canvas.beginPath();
		canvas.moveTo(x, area.y);
		canvas.lineTo(x, area.y + area.h);
		canvas.stroke();
		canvas.setLineDash([]);
		const row = free.findIndex((from) => from <= x + 3);

		if (row >= 0 && x + 3 + width < area.x + area.w) {
			canvas.fillText(label, x + 3, area.y + 2 + row * LABEL_HEIGHT);
			free[row] = x + 3 + width + LABEL_SPACE;
		}
	}
}

function summaryOf(points, series, format) {
	const texts = series.map((each, i) => {
		const values = points.map((point) => point[i + 1]).filter((value) => value !== null);

		return (
			values.length &&
			t("instance.summary", {
				name: each.label,
				min: format(Math.min(...values)),
				max: format(Math.max(...values)),
				mean: format(values.reduce((sum, value) => sum + value, 0) / values.length),
			})
		);
	});
	const gaps = points.filter((point) => point.slice(1).every((value) => value === null)).length;

	return [...texts.filter(Boolean), gaps && t("instance.summary.gaps", { count: gaps })]
		.filter(Boolean)
		.join(" ");
}

function tableOf(title, points, series, format) {
	return table(
		title,
		[
			{ label: t("instance.time"), cell: (point) => time(point[0] / 1000) },
			...series.map((each, i) => ({
				label: each.label,
				number: true,
				cell: (point) => (point[i + 1] === null ? t("none") : format(point[i + 1])),
			})),
		],
		points,
		{ isHidden: true },
	);
}

// options: { name, title, series: [{ label, color }], format, isBinary, onZoom(from, to), onHover(row) }. Returns { element,
// update(shown), select(row), end() }; shown: { points: [[ms, value or null ...]], from, to, shades, marks }.
export function makePlot({ name, title, series, format, isBinary, onZoom, onHover }) {
	const canvas = h("div", { class: "plot", role: "img", id: "plot-" + name });
	const legend = h("p", { class: "legend" }),
		summary = h("p", { class: "hidden", id: "summary-" + name });
	const details = h("details", { class: "quiet" }, h("summary", null, t("instance.as-table")));
	const element = h(
		"section",
		{ class: "card figure", id: "card-" + name },
		h("div", { class: "row" }, h("h2", null, title), legend),
		canvas,
		summary,
		details,
	);
	let graph = null,
		shown = null;

	// The values of a row, or of none.
	function fillLegend(row) {
		replace(
			legend,
			row !== null && h("span", { class: "at" }, time(shown.points[row][0] / 1000).slice(11)),
			series.map((each, i) =>
				h(
					"span",
					{ class: "key" },
					h("i", { style: { background: `var(--${each.color})` } }),
					each.label,
					row !== null &&
						h(
							"b",
							null,
							shown.points[row][i + 1] === null ? t("none") : format(shown.points[row][i + 1]),
						),
				),
			),
		);
	}

	function fillTable() {
		const old = details.querySelector(".scroll");

		old?.remove();
		if (details.open) details.append(tableOf(title, shown.points, series, format));
	}

	function options() {
		return {
			file: shown.points.map(([at, ...values]) => [new Date(at), ...values]),
			dateWindow: [shown.from * 1000, shown.to * 1000],
			colors: series.map((each) => colorOf(each.color)),
			axisLineColor: colorOf("line"),
			gridLineColor: colorOf("line"),
		};
	}

	function draw() {
		const { file, ...looks } = options(),
			{ Dygraph } = window;

		// The legend is ours; theirs sets a style in a way that the policy forbids.
		Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);

		graph = new Dygraph(canvas, file, {
			...looks,
			labels: ["time", ...series.map((each) => each.label)],
			labelsUTC: true,
			legend: "never",
			includeZero: true,
			fillGraph: true,
			fillAlpha: 0.1,
			strokeWidth: 1.6,
			highlightCircleSize: 3,
			xRangePad: 0,
			axes: {
				y: { axisLabelFormatter: format, axisLabelWidth: 72, labelsKMG2: isBinary },
				x: { axisLabelFormatter: tickText, axisLabelWidth: 72 },
			},
			// A finger scrolls the page; buttons zoom.
			interactionModel: coarse.matches ? {} : Dygraph.defaultInteractionModel,
			underlayCallback: (context, area, it) => drawBehind(context, area, it, shown),
			highlightCallback: (event, x, points, row) => {
				fillLegend(row);
				onHover(row);
			},
			unhighlightCallback: () => {
				fillLegend(null);
				onHover(null);
			},
			zoomCallback: (from, to) => onZoom(from / 1000, to / 1000),
		});
	}

	const recolor = () => graph?.updateOptions(options());

	dark.addEventListener("change", recolor);
	details.addEventListener("toggle", fillTable);
	return {
		element,
		update(next) {
			shown = next;
			summary.textContent = summaryOf(shown.points, series, format);
			canvas.setAttribute("aria-label", `${title}. ${summary.textContent || t("instance.no-data")}`);
			if (graph) graph.updateOptions(options());
			else draw();
			fillLegend(null);
			fillTable();
		},
		select(row) {
			if (!graph || !shown) return;
			if (row === null || row >= shown.points.length) graph.clearSelection();
			else graph.setSelection(row);
			fillLegend(row !== null && row < shown.points.length ? row : null);
		},
		end() {
			dark.removeEventListener("change", recolor);
			graph?.destroy();
		},
	};
}
