// What a page of somebody else can make a visitor's browser send to the API. Each attack says what the page got of it:
// "read" when it could read an answer, "opaque" when it learned nothing but that there was one, "blocked", or "sent".

const API = document.querySelector("meta[name=api]").content;
const LOGIN = `${API}/v1/sessions`;
const REFRESH = `${API}/v1/sessions/refresh`;
const LOGOUT = `${API}/v1/sessions/current`;
const CREDENTIALS = JSON.stringify({ email: "attacker@example.com", password: "a long sentence = only mine" });
const JSON_TYPE = { "Content-Type": "application/json" };

async function ask(url, options) {
  try {
    const answer = await fetch(url, { credentials: "include", ...options });
    return answer.type === "opaque" ? "opaque" : "read";
  } catch {
    return "blocked";
  }
}

const post = (url, options) => ask(url, { method: "POST", ...options });

function submit(action, enctype, fields, { referrer = true, sandboxed = false } = {}) {
  const form = document.createElement("form");
  Object.assign(form, { method: "POST", action, enctype });
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement("input");
    Object.assign(input, { name, value });
    form.append(input);
  }
  if (!referrer) {
    const policy = document.createElement("meta");
    Object.assign(policy, { name: "referrer", content: "no-referrer" }); // makes the browser send `Origin: null`
    document.head.append(policy);
  }
  if (sandboxed) {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts allow-forms";
    frame.srcdoc = `${form.outerHTML}<script>document.forms[0].submit()</script>`;
    document.body.append(frame);
    return "sent";
  }
  document.body.append(form);
  form.submit();
  return "sent";
}

/** The field whose `name=value` in a text/plain form is this JSON: the "=" is one of its own. */
function smuggled(json) {
  const at = json.indexOf("=");
  return { [json.slice(0, at)]: json.slice(at + 1) };
}

const URLENCODED = "application/x-www-form-urlencoded";

window.ATTACKS = {
  // a preflight asks first
  "log-in as JSON": () => post(LOGIN, { headers: JSON_TYPE, body: CREDENTIALS }),
  "refresh as JSON": () => post(REFRESH, { headers: JSON_TYPE }),
  "log-out": () => ask(LOGOUT, { method: "DELETE" }),
  "log-out with a token": () => ask(LOGOUT, { method: "DELETE", headers: { Authorization: "Bearer x" } }),
  "beacon as JSON": () => (navigator.sendBeacon(LOGIN, new Blob([CREDENTIALS], { type: "application/json" })), "sent"),
  // no preflight: "simple" requests reach the API
  "log-in as text": () => post(LOGIN, { headers: { "Content-Type": "text/plain" }, body: CREDENTIALS }),
  "log-in as text that names JSON": () =>
    post(LOGIN, { headers: { "Content-Type": "text/plain; application/json" }, body: CREDENTIALS }),
  "log-in of no type": () => post(LOGIN, { body: new Blob([CREDENTIALS]) }),
  "refresh of no type": () => post(REFRESH, {}),
  "log-in, unseen": () => post(LOGIN, { mode: "no-cors", body: CREDENTIALS }),
  "refresh, unseen": () => post(REFRESH, { mode: "no-cors" }),
  "refresh as text, unseen": () => post(REFRESH, { mode: "no-cors", body: "x" }),
  "beacon to log-in": () => (navigator.sendBeacon(LOGIN, CREDENTIALS), "sent"),
  "beacon to refresh": () => (navigator.sendBeacon(REFRESH), "sent"),
  // forms: the browser goes there
  "form to log-in": () => submit(LOGIN, URLENCODED, JSON.parse(CREDENTIALS)),
  "text form to log-in": () => submit(LOGIN, "text/plain", smuggled(CREDENTIALS)),
  "form to refresh": () => submit(REFRESH, URLENCODED, {}),
  "text form to refresh": () => submit(REFRESH, "text/plain", {}),
  "form without referrer": () => submit(REFRESH, URLENCODED, {}, { referrer: false }),
  "form in a sandbox": () => submit(REFRESH, URLENCODED, {}, { sandboxed: true }),
};
