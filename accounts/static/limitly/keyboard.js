// What the theme gives to a mouse and to eyes alone it gives to a keyboard, and to who has pages read aloud, as well.
(() => {
  "use strict";

  // An icon is a word in a font ("dock_to_right"), which would be read aloud as that.
  const ICON = ".material-symbols-outlined";
  const NAMES = { dock_to_right: "Navigation", close: "Close", more_vert: "More", unfold_more: "More", expand_more: "More" };
  const PRESSED = "[x-on\\:click]";
  const BY_KEYBOARD = "a[href], button, input, select, textarea, summary, label, [tabindex]";

  // Hidden; where nothing else says what it says, its place is named instead.
  function nameIcon(icon) {
    const word = icon.textContent.trim();
    const pressed = icon.closest(`${PRESSED}, a, button`);
    const place = pressed ?? icon.closest("[title]");
    if (place && !place.hasAttribute("aria-label") && !hasText(place)) {
      place.setAttribute("aria-label", place.title || (NAMES[word] ?? word.replaceAll("_", " ")));
      if (!pressed) place.setAttribute("role", "img");
    }
    if (icon !== place) icon.setAttribute("aria-hidden", "true");
  }

  function hasText(place) {
    const words = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
      if (words.currentNode.data.trim() && !words.currentNode.parentElement.closest(ICON)) return true;
    }
    return false;
  }

  // What is clicked and is no button or link becomes one; what is empty only closes what lies over it, as Escape does.
  function makeButton(place) {
    if (place.matches(BY_KEYBOARD) || !(place.hasAttribute("aria-label") || hasText(place))) return;
    place.setAttribute("role", "button");
    place.tabIndex = 0;
    place.addEventListener("keydown", (event) => {
      if (event.target !== place || (event.key !== "Enter" && event.key !== " ")) return;
      event.preventDefault();
      place.click();
    });
  }

  function each(selector, serve) {
    document.querySelectorAll(`${selector}:not([data-limitly-served])`).forEach((element) => {
      element.dataset.limitlyServed = "";
      serve(element);
    });
  }

  function serveAll() {
    document.querySelectorAll(`${ICON}:not([aria-hidden], [aria-label])`).forEach(nameIcon);
    each(PRESSED, makeButton);
  }

  document.addEventListener("DOMContentLoaded", () => {
    serveAll();
    new MutationObserver(serveAll).observe(document.body, { childList: true, subtree: true });
  });
})();
