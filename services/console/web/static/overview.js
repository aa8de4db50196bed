// The part of a page that lives ([data-live]): asked anew every few seconds by htmx, and only while somebody looks.
"use strict";

(() => {
  let latest = "";
  const isLive = (event) => event.detail.elt && event.detail.elt.matches("[data-live]");

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isLive(event) && document.hidden) event.preventDefault();
  });

  // Back at the page, what it shows may be old.
  document.addEventListener("visibilitychange", () => {
    const live = document.querySelector("[data-live]");
    if (live && !document.hidden) window.htmx.ajax("GET", live.getAttribute("hx-get"), { source: live, target: live });
  });

  // Nothing new: nothing is touched. What was opened stays open, and where somebody works with the keys nothing moves.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const live = event.detail.target;
    if (!live || !live.matches("[data-live]") || event.detail.xhr.status !== 200) return;
    const text = event.detail.xhr.responseText;
    if (text === latest || live.contains(document.activeElement)) { event.detail.shouldSwap = false; return; }
    latest = text;
    live.dataset.open = [...live.querySelectorAll("details[open]")].map((one) => one.id).join(" ");
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const live = event.detail.target;
    if (!live.matches("[data-live]")) return;
    for (const id of live.dataset.open.split(" ").filter(Boolean)) {
      const one = document.getElementById(id);
      if (one) one.open = true;
    }
    // Read out only when it has changed.
    const said = document.getElementById("live-said"), summary = document.getElementById("live-summary");
    if (said && summary && said.textContent !== summary.textContent) said.textContent = summary.textContent;
  });
})();
