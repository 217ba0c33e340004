// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// Numbers and times for people. Amounts are BigInt until the last step; times are UTC, as bills are.

import { big } from "./api.js";
import { has, locale, t } from "./text.js";

export function number(value, digits = 0) {
	return new Intl.NumberFormat(locale, {
		maximumFractionDigits: digits,
		minimumFractionDigits: digits,
	}).format(value);
}

// About three figures, in a unit whose number is neither tiny nor huge.
export function figure(value) {
	const magnitude = Math.abs(value);

	return new Intl.NumberFormat(
		locale,
		magnitude < 1
			? { maximumSignificantDigits: 2 }
			: { maximumFractionDigits: magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2 },
	).format(value);
}

const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

export function bytes(value) {
	let size = Number(value),
		unit = 0;

	while (Math.abs(size) >= 1024 && unit < BYTES.length - 1) {
		size /= 1024;
		unit++;
	}
	return `${figure(size)} ${BYTES[unit]}`;
}

export function bytesPerSecond(value) {
	return bytes(value) + "/s";
}

// The quotient as a double: exact as far as a double is, also where the dividend is not one.
function ratio(value, divisor) {
	return Number(value / divisor) + Number(value % divisor) / Number(divisor);
}

const HOUR_MS = 3600000n;

function span(seconds) {
	if (seconds >= 3600) return `${figure(seconds / 3600)} ${t("unit.hours")}`;
	if (seconds >= 60) return `${figure(seconds / 60)} ${t("unit.minutes")}`;
	return `${figure(seconds)} ${t("unit.seconds")}`;
}

export function duration(seconds) {
	return seconds >= 172800 ? `${figure(seconds / 86400)} ${t("unit.days")}` : span(seconds);
}

// A usage's value in a unit that people use.
export function amount(value, unit) {
	value = big(value);
	if (value === null) return t("none");
	switch (unit) {
		case "ns":
			return span(ratio(value, 1000000000n));
		case "ms":
			return span(ratio(value, 1000n));
		case "s":
			return span(Number(value));
		case "bytes":
			return bytes(value);
		case "KiB":
			return bytes(value * 1024n);
		case "vCPU ms":
			return `${figure(ratio(value, HOUR_MS))} ${t("unit.vcpu-hours")}`;
		case "MiB ms":
			return `${figure(ratio(value, 1024n * HOUR_MS))} ${t("unit.gib-hours")}`;
		case "GiB ms":
			return `${figure(ratio(value, HOUR_MS))} ${t("unit.gib-hours")}`;
		default:
			return integer(value);
	}
}

// Every digit of it.
export function integer(value) {
	return new Intl.NumberFormat(locale).format(big(value));
}

export function percent(part, digits = 1) {
	if (part === null || part === undefined) return t("none");
	// What is not all shall not look like all.
	const shown = part < 1 ? Math.min(Math.floor(part * 1000) / 1000, 0.999) : 1;

	return new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: digits }).format(shown);
}

const pad = (value, size = 2) => String(value).padStart(size, "0");

// 2026-11-27 10:00:05
export function time(seconds) {
	if (seconds === null || seconds === undefined) return t("none");
	const at = new Date(Number(seconds) * 1000);

	return (
		`${at.getUTCFullYear()}-${pad(at.getUTCMonth() + 1)}-${pad(at.getUTCDate())} ` +
		`${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}:${pad(at.getUTCSeconds())}`
	);
}

// 2026-11-01 00:00: a period that ends there is without that day. Seconds only where there are any.
export function minute(seconds) {
	return time(seconds).replace(/:00$/, "");
}

// Without what is nothing: midnight has no time of day.
export function day(seconds) {
	return minute(seconds).replace(/ 00:00$/, "");
}

// Whole units, at least two of them but of the smallest.
export function ago(seconds) {
	const [size, unit] = [
		[86400, "days"],
		[3600, "hours"],
		[60, "minutes"],
		[1, "seconds"],
	].find(([size]) => seconds >= 2 * size || size === 1);

	return t("ago", { span: `${number(Math.max(0, Math.floor(seconds / size)))} ${t("unit." + unit)}` });
}

export function metricName(name) {
	return has("metric." + name) ? t("metric." + name) : name;
}

export function stateName(name) {
	return has("state." + name) ? t("state." + name) : name;
}

export function instanceName(instance) {
	return instance.display_name || instance.name || instance.id;
}

export function projectName(instance) {
	return instance.project_name || instance.project_id || t("none");
}

// A reason of docs/usage.md in words.
export function reason(why) {
	const key = "reason." + why.reason;
	const values = {
		host: why.host ?? "",
		cause: has("cause." + why.cause) ? t("cause." + why.cause) : (why.cause ?? ""),
	};

	for (const name of ["from", "to", "since", "at"]) values[name] = time(why[name] ?? null);
	if (!has(key)) return why.reason;
	return t(has(key + ".host") && why.host ? key + ".host" : key, values);
}
