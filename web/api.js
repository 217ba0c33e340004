// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// Questions to kanyun-api (docs/http.md). Few at a time, for it answers only so many; one that is told to
// come again does; a token is asked for when it is needed. Integers that a double cannot hold come as texts.

const TOGETHER_MAX = 3,
	PATIENCE_MS = 10000;
const TOKEN = "kanyun-token";

export class Problem extends Error {
	constructor(status, detail) {
		super(detail);
		this.status = status;
	}
}

let running = 0;
const waiting = [];

async function inTurn(task) {
	while (running >= TOGETHER_MAX) await new Promise((resolve) => waiting.push(resolve));
	running++;
	try {
		return await task();
	} finally {
		running--;
		waiting.shift()?.();
	}
}

function target(path, query) {
	const pairs = new URLSearchParams();

	for (const [name, value] of Object.entries(query ?? {}))
		for (const each of Array.isArray(value) ? value : [value])
			if (each !== null && each !== undefined && each !== "") pairs.append(name, each);
	return path.slice(1) + (pairs.size ? "?" + pairs : "");
}

let token = sessionStorage.getItem(TOKEN);
let asked = null;

// One dialog, however many requests wait for it.
function askToken(text) {
	const dialog = document.getElementById("token"),
		value = document.getElementById("token-value");

	asked ??= new Promise((resolve) => {
		document.getElementById("token-wrong").textContent = text;
		value.value = "";
		dialog.oncancel = (event) => event.preventDefault();
		dialog.onclose = () => {
			token = value.value.trim();
			sessionStorage.setItem(TOKEN, token);
			asked = null;
			resolve();
		};
		dialog.showModal();
	});
	return asked;
}

export function hasToken() {
	return Boolean(token);
}

export function forgetToken() {
	sessionStorage.removeItem(TOKEN);
	token = null;
}

function wait(ms, signal) {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(resolve, ms);

		signal?.addEventListener(
			"abort",
			() => {
				clearTimeout(timer);
				reject(signal.reason);
			},
			{ once: true },
		);
	});
}

async function problemOf(response) {
	const text = await response.text();

	try {
		return new Problem(response.status, JSON.parse(text).detail ?? text);
	} catch {
		return new Problem(response.status, text.slice(0, 200) || response.statusText);
	}
}

async function send(url, signal) {
	try {
		return await fetch(url, {
			signal,
			cache: "no-store",
			redirect: "error",
			headers: token ? { Authorization: "Bearer " + token } : {},
		});
	} catch (error) {
		throw signal?.aborted ? error : new Problem(0, error.message);
	}
}

let wrongToken = "";
export function setWrongTokenText(text) {
	wrongToken = text;
}

async function ask(url, signal) {
	const begin = Date.now();

	for (;;) {
		const used = token,
			response = await inTurn(() => send(url, signal));

		if (response.ok) return response;
		if (response.status === 401) {
			if (used === token) await askToken(used ? wrongToken : "");
		} else if (
			response.status === 503 &&
			response.headers.has("Retry-After") &&
			Date.now() - begin < PATIENCE_MS
		) {
			await wait(1000 * (Number(response.headers.get("Retry-After")) || 1), signal);
		} else {
			throw await problemOf(response);
		}
	}
}

// Integers of 16 digits and more become texts where the API did not already make them so.
function parse(text) {
	return JSON.parse(
		/[:[,]\s*-?\d{16}/.test(text)
			? text.replace(/"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g, (found) =>
					found[0] === '"' ? found : `"${found}"`,
				)
			: text,
	);
}

async function readText(response, signal) {
	try {
		return await response.text();
	} catch (error) {
		// it was cut: docs/http.md
		throw signal?.aborted ? error : new Problem(0, error.message);
	}
}

// Asks with a parameter that older versions of the API refuse; then without.
const refused = new Set();

async function askWith(path, query, name, value, signal) {
	if (!refused.has(path + name)) {
		try {
			return await ask(target(path, { ...query, [name]: value }), signal);
		} catch (error) {
			if (error.status !== 400 || !error.message.includes(`parameter '${name}'`)) throw error;
			refused.add(path + name);
		}
	}
	return null;
}

export async function get(path, query, signal) {
	const response = await ask(target(path, query), signal);

	return parse(await readText(response, signal));
}

// For answers with usage, which may be beyond 2^53.
export async function getExact(path, query, signal) {
	const response =
		(await askWith(path, query, "int", "string", signal)) ?? (await ask(target(path, query), signal));

	return parse(await readText(response, signal));
}

// Bytes for a file; null: this API has no CSV.
export async function getCsv(path, query) {
	return (await askWith(path, query, "format", "csv"))?.blob() ?? null;
}

// null stays null.
export function big(value) {
	if (value === null || value === undefined) return null;
	return typeof value === "number" ? BigInt(Math.trunc(value)) : BigInt(value);
}

// The list of all instances, kept for a while: every view names some.
let kept = null,
	keptAt = 0;
const KEPT_MS = 30000;

export async function instances(signal) {
	if (!kept || Date.now() - keptAt > KEPT_MS) {
		kept = (await get("/v1/instances", null, signal)).instances;
		keptAt = Date.now();
	}
	return kept;
}
