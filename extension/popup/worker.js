// Sends waiting ideas when a page asks for it, when the browser starts, and once a minute while some wait.

import { ALARM, kept, send } from "./queue.js";

chrome.runtime.onMessage.addListener((message, sender, answer) => {
  if (sender.id !== chrome.runtime.id || message !== "send") return false;
  send().then(answer, () => answer("trouble"));
  return true; // the answer comes later
});

chrome.alarms.onAlarm.addListener((alarm) => {
  if (alarm.name === ALARM) send();
});

async function wake() {
  if ((await kept()).some((idea) => idea.state === "queued")) {
    await chrome.alarms.create(ALARM, { delayInMinutes: 0.5, periodInMinutes: 1 });
    await send();
  }
}

chrome.runtime.onStartup.addListener(wake);
chrome.runtime.onInstalled.addListener(wake);
