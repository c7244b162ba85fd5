"use strict";

const element = (id) => document.getElementById(id);
let session = null;

/** The JSON answer of the groupware; an error of its own or of the balancer becomes an Error. */
async function call(path, form) {
  const request = form ? { method: "POST", body: new URLSearchParams(form) } : {};
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...request });
  } catch {
    throw new Error("The web server does not answer.");
  }
  if (!response.ok) {
    throw new Error(`No groupware node answers (HTTP ${response.status}).`);
  }
  const answer = await response.json();
  if (answer.error) {
    throw new Error(`${answer.error} (${answer.code})`);
  }
  return answer;
}

async function login() {
  const form = new FormData(element("login"));
  session = await call("/ajax/login?action=login", form);
  element("login").password.value = "";
  element("user").textContent = `${session.user} (${session.user_id})`;
  element("context").textContent = session.context_id;
  element("id").textContent = session.session;
  element("answers").replaceChildren();
  await ask();
  show(true);
}

async function ask() {
  const { data } = await call(`/ajax/system?action=whoami&session=${encodeURIComponent(session.session)}`);
  const node = `${data.hostname}, route ${data.route}`;
  const line = document.createElement("li");
  line.textContent = `${new Date().toLocaleTimeString()}: ${node}`;
  element("node").textContent = node;
  element("answers").append(line);
  line.scrollIntoView({ block: "nearest" });
}

async function logout() {
  const id = session.session;
  session = null;
  show(false);
  await call(`/ajax/login?action=logout&session=${encodeURIComponent(id)}`);
}

function show(loggedIn) {
  element("login").hidden = loggedIn;
  element("session").hidden = !loggedIn;
  (loggedIn ? element("again") : element("login").name).focus();
}

/** Runs an action, with the buttons off meanwhile, and shows what went wrong. */
async function run(action) {
  const buttons = document.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  element("error").hidden = true;
  try {
    await action();
  } catch (error) {
    element("error").textContent = error.message;
    element("error").hidden = false;
  }
  buttons.forEach((button) => { button.disabled = false; });
}

element("login").addEventListener("submit", (event) => {
  event.preventDefault();
  run(login);
});
element("again").addEventListener("click", () => run(ask));
element("logout").addEventListener("click", () => run(logout));
