// What pages need beyond htmx. No page works only with this file: forms and links do without.
"use strict";

// Light or dark.
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-toggle]")) return;
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

// A form or button that asks first: data-confirm holds the question.
document.addEventListener("submit", (event) => {
  const question = (event.submitter && event.submitter.dataset.confirm) || event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

// One box that ticks all boxes of its table.
document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-tick-all]");
  if (!all) return;
  for (const box of all.closest("form").querySelectorAll(`input[name="${all.dataset.tickAll}"]`)) box.checked = all.checked;
});

// Copying the text of another element.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.trim());
  button.textContent = "Copied";
});

// The slash goes to the search field, as in most consoles.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
  const find = document.getElementById("find");
  if (find) { event.preventDefault(); find.focus(); }
});

// What htmx could not do is said, and a problem's page is never put into a part of another.
document.addEventListener("htmx:responseError", (event) => {
  const notices = document.getElementById("notices");
  const said = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html").querySelector(".note");
  const note = document.createElement("p");
  note.className = "note bad";
  note.textContent = said ? said.textContent : `That did not work (${event.detail.xhr.status}).`;
  notices.replaceChildren(note);
  notices.scrollIntoView({ block: "nearest" });
});
