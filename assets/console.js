// Keeps what changes up to date. Without this the page is as it was when it was asked for.
(() => {
  "use strict";
  const live = document.getElementById("live");
  const address = live && live.dataset.live;
  if (!address || !window.EventSource) return;
  const sentence = document.getElementById("live-sentence");
  let said = null;

  const source = new EventSource(address);
  source.addEventListener("message", (event) => {
    const told = JSON.parse(event.data);
    const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
    // The server has written and escaped this; no script in it runs.
    live.innerHTML = told.piece;
    if (focused) document.getElementById(focused)?.focus();
    // The first one is what the page says already.
    if (said !== null && told.sentence !== said) sentence.textContent = told.sentence;
    said = told.sentence;
    if (told.last) source.close();
  });
  window.addEventListener("pagehide", () => source.close());
})();
