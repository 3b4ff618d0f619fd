// The single-page app's side of the contract, without a framework.
//
// The access token lives in this module's memory and nowhere else; the refresh token in a cookie that no script reads.

const API = document.querySelector("meta[name=api]").content;
const SESSIONS = "/v1/sessions";
let accessToken = null;
let label = null;

class Refused extends Error {
  constructor(problem) {
    super(problem.code);
    this.status = problem.status;
  }
}

/** One call; what it answered and its headers. Throws `Refused`, or `TypeError` when there is no answer to read. */
async function call(method, path, { body, headers = {} } = {}) {
  const ofSession = path.startsWith(SESSIONS);
  const sent = { ...headers };
  if (method !== "GET") sent["Content-Type"] = "application/json"; // without a body too: the API asks it of browsers
  if (accessToken) sent.Authorization = `Bearer ${accessToken}`;
  const answer = await fetch(API + path, {
    method,
    headers: sent,
    body: body === undefined ? undefined : JSON.stringify(body),
    keepalive: ofSession, // who leaves the page meanwhile still gets the next cookie, or is logged out at the next start
    credentials: ofSession ? "include" : "omit", // the cookie is for these alone
  });
  const given = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Refused(given);
  show("request-id", answer.headers.get("X-Request-Id"));
  return { given, headers: answer.headers };
}

async function logIn(fields) {
  accessToken = (await call("POST", SESSIONS, { body: fields })).given.access_token;
}

/** Go on with the session of the cookie. One tab at a time: a refresh token that comes twice ends the session. */
async function goOn() {
  await navigator.locks.request("refresh", async () => {
    accessToken = (await call("POST", `${SESSIONS}/refresh`)).given.access_token;
  });
}

async function confirm(fields) {
  accessToken = (await call("POST", `${SESSIONS}/reauthenticate`, { body: fields })).given.access_token;
}

async function logOut() {
  await call("DELETE", `${SESSIONS}/current`);
  accessToken = null;
}

/** Make a label; the same fields, the same key: asked twice, it is made once. */
async function makeLabel(fields) {
  const headers = { "Idempotency-Key": `label-${fields.slug}` };
  showLabel(await call("POST", "/v1/labels", { body: fields, headers }));
}

async function renameLabel(fields) {
  showLabel(await call("PATCH", `/v1/labels/${label.id}`, { body: fields, headers: { "If-Match": label.tag } }));
}

function showLabel({ given, headers }) {
  label = { id: given.id, tag: headers.get("ETag") };
  show("label-name", given.name);
  show("etag", label.tag);
  show("replayed", headers.get("Idempotency-Replayed"));
}

async function showHome() {
  show("name", (await call("GET", "/v1/me")).given.name);
  reveal("home");
}

function show(id, text) {
  document.getElementById(id).textContent = text ?? "";
}

function reveal(id) {
  for (const part of ["login", "home"]) document.getElementById(part).hidden = part !== id;
}

/** Do it, and tell in `#state` and `#problem` what came of it. */
async function attempt(name, work) {
  show("state", `${name} …`);
  show("problem", "");
  try {
    await work();
    show("state", `${name}: done`);
  } catch (error) {
    show("state", `${name}: refused`);
    show("problem", error instanceof Refused ? error.message : "unreachable");
  }
}

function onSubmit(id, work) {
  const form = document.getElementById(id);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(id, () => work(Object.fromEntries(new FormData(form))));
  });
}

onSubmit("login", async (fields) => {
  await logIn(fields);
  await showHome();
});
onSubmit("label", makeLabel);
onSubmit("rename", renameLabel);
onSubmit("confirm", confirm);
document.getElementById("logout").addEventListener("click", () =>
  attempt("logout", async () => {
    await logOut();
    reveal("login");
  }),
);

await attempt("start", async () => {
  try {
    await goOn();
  } catch (error) {
    if (error.status !== 401) throw error;
    reveal("login");
    return;
  }
  await showHome();
});
