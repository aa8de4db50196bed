// The policy's pages: going to the line of an error, the time that is left.
"use strict";

// A click on "Line 12" selects that line in the document.
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-line]");
  const area = document.getElementById("f-text");
  if (!link || !area) return;
  event.preventDefault();
  const lines = area.value.split("\n");
  const number = Math.min(Number(link.dataset.line), lines.length);
  const start = lines.slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
  area.focus();
  area.setSelectionRange(start, start + lines[number - 1].length);
  area.scrollTop = (area.scrollHeight / lines.length) * Math.max(0, number - 5);
});

// What is left until a version goes back.
const left = () => {
  for (const place of document.querySelectorAll("[data-until]")) {
    const seconds = Math.max(0, Math.round(Number(place.dataset.until) - Date.now() / 1000));
    place.textContent = seconds ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : "nothing";
  }
};
left();
setInterval(left, 1000);
