// Downloads an export while it tells how many rows have come; without this script the form downloads it by itself.
(() => {
  "use strict";

  const NEWLINE = 10;
  // So much is held by this page; what was read before lies in a blob, which a browser keeps on disk.
  const HELD_BYTES = 16e6;

  function rowsIn(bytes) {
    let rows = 0;
    for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) rows += 1;
    return rows;
  }

  function nameOf(answer) {
    const told = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") || "");
    return told ? told[1] : "requests";
  }

  function save(parts, answer) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(parts, { type: answer.headers.get("Content-Type") }));
    link.download = nameOf(answer);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  async function read(answer, isCsv, tell) {
    let parts = [];
    let held = 0;
    const reader = answer.body.getReader();
    let rows = isCsv ? -1 : 0; // its first line are the names
    let bytes = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { parts, rows: Math.max(0, rows) };
      parts.push(value);
      held += value.length;
      if (held > HELD_BYTES) {
        parts = [new Blob(parts)];
        held = 0;
      }
      rows += rowsIn(value);
      bytes += value.length;
      tell(`${Math.max(0, rows).toLocaleString()} rows, ${(bytes / 1e6).toFixed(1)} MB so far`);
    }
  }

  async function refusalOf(answer) {
    try {
      return (await answer.json()).error;
    } catch {
      return `the server answered ${answer.status}`;
    }
  }

  function follow(form) {
    const status = form.querySelector("[data-limitly-status]");
    const cancel = form.querySelector("[data-limitly-cancel]");
    const buttons = [...form.querySelectorAll("button[name=format]")];
    let stop = null;

    function become(isUnderWay) {
      buttons.forEach((button) => { button.disabled = isUnderWay; });
      cancel.hidden = !isUnderWay;
    }

    async function download(format) {
      const body = new FormData(form);
      body.set("format", format);
      stop = new AbortController();
      become(true);
      status.textContent = "Reading…";
      try {
        const answer = await fetch(form.action, { method: "POST", body, signal: stop.signal, credentials: "same-origin" });
        if (!answer.ok || answer.redirected) {
          status.textContent = `Not exported: ${answer.redirected ? "reload this page" : await refusalOf(answer)}.`;
          return;
        }
        const found = await read(answer, format === "csv", (text) => { status.textContent = text; });
        save(found.parts, answer);
        const isCut = found.rows >= Number(form.dataset.limitlyRowsMax);
        status.textContent = `${found.rows.toLocaleString()} rows saved${isCut ? ": as many as one export holds" : ""}.`;
      } catch (error) {
        status.textContent = error.name === "AbortError" ? "Cancelled: nothing was saved." : "Broken off: nothing was saved.";
      } finally {
        become(false);
      }
    }

    cancel.addEventListener("click", () => stop.abort());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      download(event.submitter ? event.submitter.value : "csv");
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("form[data-limitly-export]").forEach(follow);
  });
})();
