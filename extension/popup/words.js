// What the pages say, from _locales: in the browser's language, or in the one that was chosen.

export const LANGUAGES = ["en", "ko"];

export function spoken(chosen) {
  if (LANGUAGES.includes(chosen)) return chosen;
  return chrome.i18n.getUILanguage().toLowerCase().startsWith("ko") ? "ko" : "en";
}

export async function words(lang) {
  const answer = await fetch(chrome.runtime.getURL(`_locales/${lang}/messages.json`));
  const messages = await answer.json();
  return (key, ...values) => messages[key].message.replace(/\$(\d)/g, (_, n) => String(values[n - 1] ?? ""));
}
