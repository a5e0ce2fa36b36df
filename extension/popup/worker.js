// Sends ideas: as soon as one is kept, when the browser starts, and once a minute while some wait. A page asks how it went.

import { ALARM, PREFIX, send } from "./queue.js";

chrome.runtime.onMessage.addListener((message, sender, answer) => {
  if (sender.id !== chrome.runtime.id || message !== "send") return false;
  send().then(answer, () => answer("trouble"));
  return true; // the answer comes later
});

chrome.alarms.onAlarm.addListener((alarm) => {
  if (alarm.name === ALARM) send();
});

chrome.storage.onChanged.addListener((changes, area) => {
  const fresh = Object.entries(changes).some(([key, { newValue }]) => key.startsWith(PREFIX) && newValue?.state === "queued");
  if (area === "local" && (fresh || changes.pairing?.newValue)) send();
});

chrome.runtime.onStartup.addListener(() => send());
chrome.runtime.onInstalled.addListener(() => send());
