"use strict";
// Asks where the run stands and puts the answer into the page; when the run has ended, loads its report.
const script = document.currentScript;
const from = script.dataset.from;
const pause = 1000 * Number(script.dataset.seconds);

// Text only: nothing that a job says becomes markup.
function cell(text, kind) {
  const td = document.createElement("td");
  td.textContent = text;
  td.className = kind;
  return td;
}

function fill(section, rows) {
  const lines = rows.map((cells) => {
    const tr = document.createElement("tr");
    tr.append(...cells);
    return tr;
  });
  document.querySelector("#" + section + " tbody").replaceChildren(...lines);
}

// As the page writes it: 2026-11-22 04:17:58 UTC.
function time(rfc) {
  return rfc ? rfc.slice(0, 10) + " " + rfc.slice(11, 19) + " UTC" : "none";
}

function show(state) {
  document.getElementById("told").textContent = state.told;
  document.getElementById("latest").textContent = time(state.latest);
  document.getElementById("failures").hidden = state.failed === 0;
  document.querySelector("#failures figcaption").textContent = "Failures: " + state.failed;
  fill("failures", state.failures.map((f) =>
    [cell(f.job, ""), cell(f.message + (f.help ? " (" + f.help + ")" : ""), "change")]));
  fill("nodes", state.nodes.map((n) => [cell(n.node, "")].concat(
    [n.jobs, n.queued, n.running, n.cached, n.computed, n.failed, n.skipped].map((count) => cell(count, "number")))));
  fill("running", state.running.map((job) =>
    [job.job, time(job.since), job.expected, job.progress].map((text) => cell(text, ""))));
}

async function look() {
  try {
    const answer = await fetch(from, { cache: "no-store" });
    const state = await answer.json();
    show(state);
    if (state.status !== "running") {
      location.reload();
      return;
    }
  } catch (error) {
    document.getElementById("latest").textContent = "unknown: celldag serve does not answer";
  }
  setTimeout(look, pause);
}

setTimeout(look, pause);
