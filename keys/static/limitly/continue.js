// A page that does long work step by step asks for its next step by itself, unless its reader has left or paused it.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form[data-limitly-continue]");
  if (!form) return;
  const next = setTimeout(() => form.requestSubmit(), 700);
  document.querySelector("[data-limitly-pause]")?.addEventListener("click", () => clearTimeout(next));
});
