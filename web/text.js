// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The kanyun authors

// What the page says, in the language of the browser or the one that was chosen.

import en from "./en.js";
import zh from "./zh.js";

const LANGUAGES = { en, zh };
const CHOICE = "kanyun-language";

function choose() {
	const wanted = [localStorage.getItem(CHOICE), ...(navigator.languages ?? [navigator.language])];

	return wanted.map((tag) => tag?.slice(0, 2).toLowerCase()).find((tag) => tag in LANGUAGES) ?? "en";
}

export let language = choose();
export let locale = language === "zh" ? "zh-CN" : "en-GB";

export function setLanguage(tag) {
	localStorage.setItem(CHOICE, tag);
	language = tag;
	locale = tag === "zh" ? "zh-CN" : "en-GB";
}

// {name} in a text stands for a value.
export function t(key, values = {}) {
	const text = LANGUAGES[language][key] ?? en[key] ?? key;

	return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

export function has(key) {
	return key in en;
}
