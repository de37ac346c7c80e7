// Draws the desk's charts with Chart.js, tells the server by a cookie in which time zone the reader lives, shows fields
// when they are asked, and names those that Select2 draws.
(() => {
  "use strict";

  // Okabe and Ito's colours, told apart by the colour-blind; lines differ by their dashes as well.
  const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
  const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [1, 4]];
  const drawn = [];

  function rememberZone() {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone) {
      document.cookie = `limitly_zone=${encodeURIComponent(zone)}; path=/admin/; max-age=31536000; samesite=strict`;
    }
  }

  function dataset({ kind, isSample }, series, number) {
    const colour = COLOURS[number % COLOURS.length];
    return {
      label: series.name, data: series.values, borderColor: colour, backgroundColor: colour,
      borderDash: kind === "line" ? DASHES[number % DASHES.length] : [], borderWidth: kind === "line" ? 2 : 0,
      pointRadius: series.values.length > 40 ? 0 : 2, pointHitRadius: 8, tension: 0, stack: "all",
      spanGaps: isSample,
    };
  }

  function options(told) {
    const isDark = document.documentElement.classList.contains("dark");
    const text = isDark ? "#d1d5db" : "#4b5563";
    const grid = { color: isDark ? "#374151" : "#e5e7eb" };
    const isStacked = told.kind === "bar";
    const ticks = { color: text, maxRotation: 0, autoSkipPadding: 16 };
    return {
      animation: false, responsive: true, maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      plugins: {
        legend: { display: told.series.length > 1, labels: { color: text, boxWidth: 24 } },
        tooltip: { callbacks: { label: (at) => `${at.dataset.label}: ${at.formattedValue} ${told.unit}`.trim() } },
      },
      scales: {
        x: { stacked: isStacked, ticks, grid: { display: false } },
        y: { stacked: isStacked, ticks, grid, beginAtZero: true },
      },
    };
  }

  function draw() {
    drawn.splice(0).forEach((chart) => chart.destroy());
    document.querySelectorAll("canvas[data-limitly-chart]").forEach((canvas) => {
      const told = JSON.parse(canvas.dataset.limitlyChart);
      const datasets = told.series.map((series, number) => dataset(told, series, number));
      drawn.push(new Chart(canvas, { type: told.kind, data: { labels: told.labels, datasets }, options: options(told) }));
    });
  }

  // Select2 puts fields of its own in a select's place, without its label.
  function nameSelects() {
    document.querySelectorAll("select + .select2").forEach((field) => {
      const select = field.previousElementSibling;
      const label = select.labels[0]?.textContent.trim() || select.name;
      field.querySelectorAll("[role=combobox], [role=textbox]").forEach((each) => {
        each.removeAttribute("aria-labelledby");
        each.setAttribute("aria-label", label);
      });
    });
  }

  // From and to are asked of a period of the reader's own alone.
  function offerTimes() {
    document.querySelectorAll("select[name=period]").forEach((select) => {
      const times = select.form.querySelectorAll("[data-of-custom-period]");
      const show = () => times.forEach((label) => { label.hidden = select.value !== "custom"; });
      select.addEventListener("change", show);
      show();
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    rememberZone();
    offerTimes();
    draw();
    nameSelects();
    new MutationObserver(nameSelects).observe(document.body, { childList: true, subtree: true });
    new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["class"] });
  });
})();
