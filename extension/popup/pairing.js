// Talking to `secondshift serve`: what is paired, whether it is really ours that answers, and the requests themselves.

const CODE = /^secondshift-(\d{1,5})-([A-Za-z0-9_-]{43})$/;
const PATIENCE_MS = 5000;

export function parsed(code) {
  const found = CODE.exec(code.trim());
  return found && Number(found[1]) < 65536 ? { port: Number(found[1]), secret: found[2] } : null;
}

export async function pairing() {
  return (await chrome.storage.local.get("pairing")).pairing ?? null;
}

// How a request went when it brought no answer that counts.
export class Unanswered extends Error {
  constructor(kind, text = "") {
    super(kind);
    this.kind = kind; // down, stranger, expired, refused, trouble
    this.text = text;
  }
}

// Ask `serve` for something. It proves itself first, so that neither the secret nor an idea reaches anything else on that port.
export async function ask(paired, path, body = null) {
  await prove(paired);
  const answer = await get(paired.port, path, {
    method: body === null ? "GET" : "POST",
    headers: {
      Authorization: `Bearer ${paired.secret}`,
      ...(body === null ? {} : { "Content-Type": "application/json" }),
    },
    ...(body === null ? {} : { body: JSON.stringify(body) }),
  });
  const found = await answer.json().catch(() => ({}));
  if (answer.ok) return found;
  if (answer.status === 401) throw new Unanswered("expired");
  const kind = [400, 409, 413].includes(answer.status) ? "refused" : "trouble";
  throw new Unanswered(kind, String(found.text ?? answer.status));
}

async function prove(paired) {
  const nonce = base64url(crypto.getRandomValues(new Uint8Array(18)));
  const answer = await get(paired.port, `/hello?nonce=${nonce}`, {});
  const said = await answer.json().catch(() => ({}));
  if (said?.proof === "") throw new Unanswered("expired"); // our kind, but it has no pairing any more
  if (said?.proof !== (await expected(paired, nonce))) {
    // The old code, and a new one made since, look alike from here; only the server's name tells them from a stranger.
    throw new Unanswered(/^[0-9a-f]{64}$/.test(said?.proof ?? "") ? "expired" : "stranger");
  }
}

async function get(port, path, how) {
  try {
    return await fetch(`http://127.0.0.1:${port}${path}`, {
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...how,
    });
  } catch {
    throw new Unanswered("down");
  }
}

async function expected(paired, nonce) {
  const digest = hex(await crypto.subtle.digest("SHA-256", bytes(paired.secret)));
  const key = await crypto.subtle.importKey("raw", bytes(digest), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return hex(await crypto.subtle.sign("HMAC", key, bytes(`${paired.port}:${nonce}`)));
}

const bytes = (text) => new TextEncoder().encode(text);
const hex = (buffer) => Array.from(new Uint8Array(buffer), (b) => b.toString(16).padStart(2, "0")).join("");
const base64url = (array) => btoa(String.fromCharCode(...array)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
