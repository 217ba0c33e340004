// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// The frame: which view the address means, and what stands around it.
//
//     #/                     overview.js        #/instance/ID?from=&to=       instance.js
//     #/instances?q=         search.js          #/report?project=&period=...  report.js
//     #/workers              workers.js
//
// A view is a function of (root, { argument, query, signal }) that fills root; signal ends it.

import { forgetToken, hasToken, Problem, setWrongTokenText } from "./api.js";
import { announce, h, loading } from "./dom.js";
import { showOverview } from "./overview.js";
import { language, setLanguage, t } from "./text.js";
import { goTo, problemBox } from "./view.js";

const VIEWS = {
	"": { title: "overview.title", nav: "overview", show: async () => showOverview },
	instances: {
		title: "instances.title",
		nav: "instances",
		show: async () => (await import("./search.js")).showSearch,
	},
	instance: {
		title: "instances.title",
		nav: "instances",
		show: async () => (await import("./instance.js")).showInstance,
	},
	report: {
		title: "report.title",
		nav: "report",
		show: async () => (await import("./report.js")).showReport,
	},
	workers: {
		title: "workers.title",
		nav: "workers",
		show: async () => (await import("./workers.js")).showWorkers,
	},
};
const NAV = [
	["overview", "#/"],
	["instances", "#/instances"],
	["report", "#/report"],
	["workers", "#/workers"],
];

const byId = (id) => document.getElementById(id);

function place() {
	const [path, query] = location.hash.slice(1).split("?", 2);
	const [, name = "", argument = ""] = path.split("/");

	return { name, argument: decodeURIComponent(argument), query: new URLSearchParams(query ?? "") };
}

function frame(view) {
	document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
	byId("skip").textContent = t("skip");
	byId("nav").setAttribute("aria-label", t("nav"));
	byId("nav").replaceChildren(
		...NAV.map(([name, href]) =>
			h("a", { href, "aria-current": view?.nav === name && "page" }, t("nav." + name)),
		),
	);
	byId("query").placeholder = t("search.hint");
	byId("query").setAttribute("aria-label", t("search") + ": " + t("search.hint"));
	byId("language").textContent = t("language");
	byId("language").setAttribute("aria-label", t("language.label"));
	byId("language").lang = language === "zh" ? "en" : "zh-CN";
	byId("footer").replaceChildren(
		h(
			"p",
			null,
			t("footer"),
			hasToken() &&
				h(
					"button",
					{
						type: "button",
						class: "quiet",
						onclick: () => {
							forgetToken();
							show();
						},
					},
					t("token.forget"),
				),
		),
	);
	for (const part of ["title", "text", "label", "send"])
		byId("token-" + part).textContent = t("token." + part);
	setWrongTokenText(t("token.wrong"));
}

let ending = null,
	isFirst = true;

async function show() {
	const { name, argument, query } = place(),
		view = VIEWS[name],
		main = byId("main");
	const controller = new AbortController(),
		{ signal } = controller;

	ending?.abort();
	ending = controller;
	frame(view);
	document.title = (view ? t(view.title) : t("notfound")) + " · kanyun";
	if (!view) {
		main.replaceChildren(h("div", { class: "view" }, h("h1", { tabindex: -1 }, t("notfound"))));
		return;
	}
	const root = h("div", { class: "view " + view.nav, "aria-busy": "true" }, loading());
	main.replaceChildren(root);
	try {
		const showView = await view.show();

		signal.throwIfAborted();
		await showView(root, { argument, query, signal });
		signal.throwIfAborted();
		if (!isFirst) announce(t("loaded", { view: document.title.replace(/ · kanyun$/, "") }));
	} catch (error) {
		if (signal.aborted) return;
		if (!(error instanceof Problem)) console.error(error);
		root.replaceChildren(h("h1", { tabindex: -1 }, t(view.title)), problemBox(error, show));
	}
	root.removeAttribute("aria-busy");
	// Who follows a link is taken to what it led to; who zooms or types stays where they are.
	if (
		!isFirst &&
		(document.activeElement === document.body || byId("nav").contains(document.activeElement))
	)
		root.querySelector("h1")?.focus({ preventScroll: true });
	isFirst = false;
	performance.mark("kanyun-shown");
}

byId("search").addEventListener("submit", (event) => {
	event.preventDefault();
	goTo("/instances", { q: byId("query").value.trim() });
});
byId("language").addEventListener("click", () => {
	setLanguage(language === "zh" ? "en" : "zh");
	show();
});
byId("skip").addEventListener("click", (event) => {
	event.preventDefault();
	byId("main").focus();
});
addEventListener("hashchange", show);
show();
