// A button that copies the value of the field it names; where it may not, the field is selected for the reader to copy.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-limitly-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.limitlyCopy);
  const told = document.getElementById(`${field.id}-copied`);
  field.focus();
  field.select();
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(field.value);
    else if (!document.execCommand("copy")) throw new Error("not allowed");
    told.textContent = "Copied.";
  } catch {
    told.textContent = "Selected: copy it with Ctrl+C (⌘C on a Mac).";
  }
});
