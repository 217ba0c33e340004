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

// The list of all instances, kept for a while: every view names some.
let kept = null,
	keptAt = 0;
const KEPT_MS = 30000;

export function hasToken() {
	return Boolean(token);
}

export function forgetToken() {
	sessionStorage.removeItem(TOKEN);
	token = kept = null;
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

// how: text or blob.
async function read(response, how, signal) {
	try {
		return await response[how]();
	} catch (error) {
		// it was cut: docs/http.md
		throw signal?.aborted ? error : new Problem(0, error.message);
	}
}

export async function get(path, query, signal) {
	const response = await ask(target(path, query), signal);

	return JSON.parse(await read(response, "text", signal));
}

// Of answers with usage: integers that may be beyond 2^53 are texts.
export function getExact(path, query, signal) {
	return get(path, { ...query, int: "string" }, signal);
}

// The same as a file.
export async function getCsv(path, query) {
	return read(await ask(target(path, { ...query, format: "csv" })), "blob");
}

// null stays null.
export function big(value) {
	return value === null || value === undefined ? null : BigInt(value);
}

export async function instances(signal) {
	if (!kept || Date.now() - keptAt > KEPT_MS) {
		kept = (await get("/v1/instances", null, signal)).instances;
		keptAt = Date.now();
	}
	return kept;
}
