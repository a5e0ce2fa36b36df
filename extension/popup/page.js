// The page: popup, tab or new tab. It draws what `serve` says, keeps what is typed, and hands ideas to the queue.
// Everything shown is set as text, never as HTML: what a run or a person wrote is data.

import { Unanswered, ask, pairing, parsed } from "./pairing.js";
import { forget, keep, kept } from "./queue.js";
import { spoken, words } from "./words.js";

const EVERY_MS = 10_000;
const at = (id) => document.getElementById(id);
const popup = location.search === "?popup";
const SHOWN = popup ? 3 : 6; // ideas
let say = (key) => key;
let lang = "en";

function show(id, wanted) {
  at(id).hidden = !wanted;
}

function fill(list, texts) {
  list.replaceChildren(...texts.map((text) => written("li", text)));
}

// A sentence with what stands between backticks as code; text all of it.
function written(tag, text) {
  const parts = text.split("`");
  const whole = document.createElement(tag);
  whole.append(...parts.map((part, n) => (n % 2 && n < parts.length - 1 ? Object.assign(document.createElement("code"), { textContent: part }) : part)));
  return whole;
}

async function speak() {
  const chosen = (await chrome.storage.local.get("lang")).lang ?? "";
  lang = spoken(chosen);
  say = await words(lang);
  document.documentElement.lang = lang;
  for (const place of document.querySelectorAll("[data-say]")) place.replaceChildren(...written("span", say(place.dataset.say)).childNodes);
  at("idea").placeholder = say("hint");
  at("why").setAttribute("aria-label", say("why"));
  at("code").placeholder = say("pairCode");
  at("code").setAttribute("aria-label", say("pairCode"));
  at("keys").textContent = navigator.userAgent.includes("Mac") ? "⌘↵" : "Ctrl ↵";
  at("lang").value = chosen;
}

// --- the night ---

function drawNight(now) {
  at("study").textContent = now.study || "secondshift";
  drawMood(now.mood);
  fill(at("needs").querySelector("ul"), now.needs);
  show("needs", now.needs.length);
  fill(at("lines"), now.lines);
  at("running").replaceChildren(...now.running.map(drawn));
  if (now.more) {
    const cell = at("running").insertRow().insertCell();
    cell.colSpan = 4;
    cell.textContent = say("more", now.more);
  }
  show("running", now.running.length);
  const share = now.spent_share;
  show("spent", share !== null);
  if (share !== null) {
    at("spent").querySelector("progress").value = Math.min(1, share);
    at("spent").querySelector("span").textContent = say("spent", `${Math.round(share * 100)}%`);
  }
  show("brief", now.brief);
  show("trouble", false);
}

function drawn(bar) {
  const row = document.createElement("tr");
  const cell = (text, name) => Object.assign(row.insertCell(), { textContent: text, className: name });
  cell(bar.trial, "trial");
  const progress = Object.assign(document.createElement("progress"), { max: 1, value: bar.progress });
  progress.setAttribute("aria-label", bar.trial);
  cell("", "bar").append(progress);
  cell(bar.value, "value");
  cell(bar.left ? say("left", bar.left) : "", "left");
  return row;
}

function drawMood(mood) {
  at("mood").className = mood;
  at("mood").textContent = mood ? say(mood) : "";
  show("mood", mood);
}

function drawTrouble(problem, port) {
  const kind = problem instanceof Unanswered ? problem.kind : "trouble";
  const known = kind === "refused" ? "trouble" : kind;
  const text = known === "trouble" ? say("trouble", problem.text ?? String(problem)) : say(known, port);
  at("trouble").replaceChildren(written("span", text));
  show("trouble", true);
  for (const id of ["needs", "running", "spent", "brief"]) show(id, false);
  fill(at("lines"), []);
  drawMood("away");
  if (kind === "expired") show("pair", true);
}

// --- ideas ---

async function drawIdeas(handed, all) {
  const mine = await kept();
  const known = new Set(mine.map((idea) => idea.id));
  const rows = [...mine.reverse(), ...handed.filter((idea) => !known.has(idea.id)).slice(0, SHOWN)];
  at("ideas").querySelector("ul").replaceChildren(...rows.map(ideaRow));
  show("ideas", rows.length);
  show("moreIdeas", all > SHOWN);
  at("moreIdeas").textContent = say("moreIdeas", all);
}

// Ideas of the study bring words for their state; those that wait here do not know of it yet.
function stateOf(idea) {
  if (idea.state_words) return [idea.idea, idea.state_words, idea.gain].filter(Boolean).join(" · ");
  return idea.reason ? say("stateRefused", idea.reason) : say("stateQueued");
}

function ideaRow(idea) {
  const row = document.createElement("li");
  const text = Object.assign(document.createElement("span"), { className: "text", textContent: idea.text });
  const state = Object.assign(document.createElement("span"), { className: "state" });
  state.textContent = stateOf(idea);
  row.title = [idea.answer, idea.spent].filter(Boolean).join(" · ");
  row.append(text, state);
  if (idea.reason) {
    row.className = "refused";
    const again = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: say("again") });
    again.addEventListener("click", () => backIntoTheBox(idea));
    row.append(" ", again);
  }
  return row;
}

async function backIntoTheBox(idea) {
  at("idea").value = idea.text;
  at("why").value = idea.why;
  await keepDraft();
  await forget(idea.id);
  await look();
}

async function handIn(event) {
  event.preventDefault();
  const [text, why] = [at("idea").value.trim(), at("why").value.trim()];
  if (!text) return;
  at("idea").value = at("why").value = ""; // at once, so that a second press does not hand the same text in again
  try {
    await keep(text, why);
  } catch {
    [at("idea").value, at("why").value] = [text, why];
    at("said").textContent = say("notKept");
    return;
  }
  at("whyBox").open = false;
  at("idea").focus();
  const how = await chrome.runtime.sendMessage("send").catch(() => "trouble");
  at("said").textContent = say(how === "sent" ? "handed" : how === "unpaired" || how === "expired" ? "keptUnpaired" : "kept");
  await look();
}

// What is typed survives the popup, which closes at a click beside it.
function keepDraft() {
  return chrome.storage.local.set({ draft: { text: at("idea").value, why: at("why").value } });
}

async function restoreDraft() {
  const { draft } = await chrome.storage.local.get("draft");
  if (!draft) return;
  at("idea").value = draft.text;
  at("why").value = draft.why;
  at("whyBox").open = draft.why !== "";
}

// --- looking ---

async function look() {
  const paired = await pairing();
  at("pairedWith").textContent = paired ? say("pairing", paired.port) : say("unpaired");
  show("unpair", paired);
  if (!paired) {
    show("pair", true);
    drawMood("");
    await drawIdeas([], 0);
    return;
  }
  try {
    const zone = encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone ?? "");
    const [now, inbox] = await Promise.all([ask(paired, `/now?lang=${lang}&zone=${zone}`), ask(paired, `/ideas?lang=${lang}`)]);
    show("pair", false); // only now: a form that vanishes for a moment takes the cursor with it
    drawNight(now);
    await drawIdeas(inbox.ideas, inbox.all);
  } catch (problem) {
    drawTrouble(problem, paired.port);
    await drawIdeas([], 0);
  }
}

async function pair(event) {
  event.preventDefault();
  const wanted = parsed(at("code").value);
  if (!wanted) {
    at("pairSaid").replaceChildren(written("span", say("pairBad")));
    return;
  }
  try {
    await ask(wanted, "/now");
  } catch (problem) {
    const known = ["down", "stranger", "expired"].includes(problem.kind) ? problem.kind : "trouble";
    at("pairSaid").replaceChildren(written("span", say(known, known === "trouble" ? problem.text : wanted.port)));
    return;
  }
  await chrome.storage.local.set({ pairing: wanted });
  at("code").value = "";
  at("pairSaid").textContent = "";
  at("said").textContent = say("paired");
  await chrome.runtime.sendMessage("send").catch(() => "trouble");
  await look();
  at("idea").focus();
}

async function openBrief() {
  const paired = await pairing();
  try {
    const { ticket } = await ask(paired, "/ticket", {});
    const zone = encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone ?? "");
    await chrome.tabs.create({ url: `http://127.0.0.1:${paired.port}/brief?ticket=${ticket}&lang=${lang}&zone=${zone}` });
  } catch (problem) {
    drawTrouble(problem, paired.port);
  }
}

function wire() {
  at("ask").addEventListener("submit", handIn);
  for (const box of [at("idea"), at("why")]) {
    box.addEventListener("input", keepDraft);
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      // A Korean syllable may still be under way; it is part of the idea once it is done.
      if (event.isComposing) box.addEventListener("compositionend", handIn, { once: true });
      else handIn(event);
    });
  }
  at("pair").addEventListener("submit", pair);
  at("brief").addEventListener("click", openBrief);
  at("asPage").addEventListener("click", () => chrome.tabs.create({ url: chrome.runtime.getURL("page.html") }));
  at("openSettings").addEventListener("click", () => {
    show("settings", at("settings").hidden);
    at("openSettings").setAttribute("aria-expanded", String(!at("settings").hidden));
  });
  at("unpair").addEventListener("click", async () => {
    await chrome.storage.local.remove("pairing");
    await look();
  });
  at("lang").addEventListener("change", async () => {
    await chrome.storage.local.set({ lang: at("lang").value });
    await speak();
    await look();
  });
  document.addEventListener("visibilitychange", () => document.hidden || look());
  setInterval(() => document.hidden || look(), EVERY_MS);
}

document.body.classList.toggle("popup", popup);
if (popup) at("needs").after(at("ask")); // a popup is 600 pixels high at most, and the box must not be below them
await speak();
await restoreDraft();
document.body.hidden = false;
wire();
if (popup) at("idea").focus();
await look();
