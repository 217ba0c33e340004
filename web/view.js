// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// What all views need: addresses, errors, and looking again after a while.

import { Problem } from "./api.js";
import { h } from "./dom.js";
import { t } from "./text.js";

export function address(path, query) {
	const pairs = new URLSearchParams(Object.entries(query ?? {}).filter(([, value]) => value));

	return "#" + path + (pairs.size ? "?" + pairs : "");
}

export function goTo(path, query) {
	location.hash = address(path, query);
}

export const instanceAddress = (id, query) => address("/instance/" + encodeURIComponent(id), query);

const KNOWN = [0, 403, 404, 409, 413, 503];

export function problemText(error) {
	const status = error instanceof Problem ? error.status : -1;

	return t("error." + (KNOWN.includes(status) ? status : 500));
}

export function problemBox(error, retry) {
	return h(
		"section",
		{ class: "state wrong", role: "alert" },
		h("h2", null, t("error.title")),
		h("p", null, problemText(error)),
		h("p", { class: "detail" }, error.message),
		retry && h("button", { type: "button", id: "retry", onclick: retry }, t("retry")),
	);
}

// Until the view ends: does it again, but not where nobody looks. A failure is told in `note`; what was
// shown before stays.
export function every(ms, signal, note, task) {
	const timer = setInterval(async () => {
		if (document.hidden) return;
		try {
			await task();
			note.replaceChildren();
		} catch (error) {
			if (!signal.aborted) note.replaceChildren(t("error.stale", { why: problemText(error) }));
		}
	}, ms);

	signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}
