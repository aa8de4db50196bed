// Passkeys: a button with data-passkey asks the browser for a key and sends its answer to the console.
// data-passkey: get or create. data-begin, data-finish: where the question comes from and the answer goes.
"use strict";

(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  function say(what) {
    const note = document.createElement("p");
    note.className = "note bad";
    note.textContent = what;
    document.getElementById("notices").replaceChildren(note);
  }

  function question(options) {
    const keys = (list) => (list || []).map((key) => ({ ...key, id: bytes(key.id) }));
    const asked = { ...options, challenge: bytes(options.challenge) };
    if (options.user) asked.user = { ...options.user, id: bytes(options.user.id) };
    if (options.excludeCredentials) asked.excludeCredentials = keys(options.excludeCredentials);
    if (options.allowCredentials) asked.allowCredentials = keys(options.allowCredentials);
    return { publicKey: asked };
  }

  function answer(key) {
    const said = { clientDataJSON: text(key.response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (key.response[name]) said[name] = text(key.response[name]);
    }
    return JSON.stringify({
      id: key.id, rawId: text(key.rawId), type: key.type, response: said,
      clientExtensionResults: key.getClientExtensionResults(),
    });
  }

  async function post(path, csrf, body) {
    const reply = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(csrf ? { "X-CSRF-Token": csrf } : {}) },
      body: JSON.stringify(body),
    });
    if (reply.redirected) { location.assign(reply.url); return null; }
    const found = await reply.json().catch(() => ({}));
    if (reply.ok) return found;
    if (reply.status === 429) throw new Error("Too many tries. Wait a little, then try again.");
    throw new Error(found.error || "That did not work: reload the page and try again.");
  }

  async function use(button) {
    const form = button.closest("form");
    const field = (name) => (form.elements[name] ? form.elements[name].value : "");
    const csrf = field("csrf");
    const options = await post(button.dataset.begin, csrf, {});
    if (!options) return;
    const creates = button.dataset.passkey === "create";
    const key = await (creates ? navigator.credentials.create(question(options)) : navigator.credentials.get(question(options)));
    const body = { answer: answer(key), ...(creates ? { label: field("label") } : { next: field("next") || "/" }) };
    const done = await post(button.dataset.finish, csrf, body);
    if (done) location.assign(done.next);
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-passkey]");
    if (!button) return;
    button.disabled = true;
    try {
      await use(button);
    } catch (error) {
      const said = error.name === "NotAllowedError" || error.name === "AbortError" ? "No key was used." :
        error.name === "InvalidStateError" ? "This key is added already." : error.message;
      say(said);
    } finally {
      button.disabled = false;
    }
  });

  // Where the browser cannot do it, the button is not shown.
  document.addEventListener("DOMContentLoaded", () => {
    if (!window.PublicKeyCredential) return;
    for (const hidden of document.querySelectorAll("[data-passkey][hidden]")) hidden.hidden = false;
  });
})();
