// Ideas that wait here until `serve` has acknowledged them. One key of storage each, so that pages never overwrite each other.
// An idea's id is made here and sent along: sending it twice counts once.

import { Unanswered, ask, pairing } from "./pairing.js";

export const PREFIX = "idea:";
const LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"; // as the spool makes ids: they sort by time
export const ALARM = "send";

function newId() {
  let left = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000));
  let time = "";
  for (let n = 0; n < 11; n++, left /= 32n) time = LETTERS[Number(left % 32n)] + time;
  const chance = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => LETTERS[b % 32]).join("");
  return `${time}-${chance}`;
}

// Keep an idea; it is safe once this returns. One write, which also empties the draft and wakes the worker: the popup may close at any moment.
export async function keep(text, why) {
  const id = newId();
  const idea = { id, text, why, made: Date.now(), state: "queued", reason: "" };
  await chrome.storage.local.set({ [PREFIX + id]: idea, draft: { text: "", why: "" } });
}

export async function kept() {
  const all = await chrome.storage.local.get(null);
  return Object.entries(all)
    .filter(([key]) => key.startsWith(PREFIX))
    .map(([, idea]) => idea)
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

export async function forget(id) {
  await chrome.storage.local.remove(PREFIX + id);
}

let going = null;
let again = false;

// Send what waits, one after the other; only the worker calls this, so there is one sender. Says how it went: sent, or a kind of Unanswered.
export function send() {
  again = true; // whoever asks while a round is under way gets one more: it may have looked already
  going ??= rounds().finally(() => (going = null));
  return going;
}

async function rounds() {
  let how;
  while (again) {
    again = false;
    how = await sendAll();
  }
  return how;
}

async function sendAll() {
  for (;;) {
    const idea = (await kept()).find((one) => one.state === "queued");
    if (!idea) {
      await chrome.alarms.clear(ALARM);
      return "sent";
    }
    await chrome.alarms.create(ALARM, { delayInMinutes: 0.5, periodInMinutes: 1 }); // should this worker be ended before it is through
    const paired = await pairing();
    if (!paired) return "unpaired";
    try {
      const answer = await ask(paired, "/ideas", { id: idea.id, text: idea.text, why: idea.why });
      if (answer.id !== idea.id) return "trouble"; // whatever that was, it acknowledged nothing
      await forget(idea.id);
    } catch (problem) {
      if (!(problem instanceof Unanswered)) throw problem;
      if (problem.kind !== "refused") return problem.kind;
      await chrome.storage.local.set({ [PREFIX + idea.id]: { ...idea, state: "refused", reason: problem.text } });
    }
  }
}
